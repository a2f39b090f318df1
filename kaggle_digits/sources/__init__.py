"""Sources of the three CSV files; ``fetch`` puts them into the data folder."""

from kaggle_digits.sources.fetch import FetchedFile, FetchReport, fetch

__all__ = ["FetchReport", "FetchedFile", "fetch"]
