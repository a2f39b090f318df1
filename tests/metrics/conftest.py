"""Fixtures shared with the evaluation tests."""

from tests.evaluation.conftest import dataset, oof, run

__all__ = ["dataset", "oof", "run"]
