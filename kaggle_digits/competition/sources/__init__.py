"""Where the three files can come from; ``fetch`` puts them into the data folder."""

from kaggle_digits.competition.sources.into_folder import (
    FetchedFile,
    FetchReport,
    fetch,
)

__all__ = ["FetchReport", "FetchedFile", "fetch"]
