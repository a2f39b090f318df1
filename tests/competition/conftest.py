"""Every test here may talk to the fake Kaggle."""

from tests.fakes.fixtures import home, kaggle, patience

__all__ = ["home", "kaggle", "patience"]
