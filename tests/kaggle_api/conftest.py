"""Every test here may talk to the fake Kaggle."""

from tests.support.fixtures import home, kaggle, policy

__all__ = ["home", "kaggle", "policy"]
