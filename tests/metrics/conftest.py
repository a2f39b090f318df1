"""The small run that the evaluation tests use."""

from tests.evaluation.conftest import dataset, oof, run

__all__ = ["dataset", "oof", "run"]
