"""Where the three files can come from; ``fetch`` puts them into the data folder."""

from kaggle_digits.sources.fetch import fetch
from kaggle_digits.sources.report import FetchedFile, FetchReport

__all__ = ["FetchReport", "FetchedFile", "fetch"]
