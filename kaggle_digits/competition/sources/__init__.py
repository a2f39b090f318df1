"""Where the three files can come from; ``fetch`` puts them into the data folder."""

from kaggle_digits.competition.sources.into_folder import fetch
from kaggle_digits.competition.sources.report import FetchedFile, FetchReport

__all__ = ["FetchReport", "FetchedFile", "fetch"]
