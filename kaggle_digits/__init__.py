"""A toolkit for Kaggle's Digit Recognizer: functions on NumPy arrays.

    import kaggle_digits as kd

    kd.fetch("sample", "data")
    dataset = kd.load("data")
    run = kd.train(dataset, kd.find_recipe("dense"), kd.Split("folds", folds=5))
    print(kd.score(run.oof(), dataset.labels))

Each name is imported when it is first used, so importing this package is fast.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaggle_digits.core.errors import DataError as DataError
    from kaggle_digits.core.errors import DigitsError as DigitsError
    from kaggle_digits.core.errors import KaggleError as KaggleError
    from kaggle_digits.core.errors import ModelError as ModelError
    from kaggle_digits.core.errors import RunError as RunError
    from kaggle_digits.core.errors import StorageError as StorageError
    from kaggle_digits.core.errors import SubmissionError as SubmissionError
    from kaggle_digits.core.errors import UsageError as UsageError
    from kaggle_digits.data.dataset import Dataset as Dataset
    from kaggle_digits.data.dataset import load as load
    from kaggle_digits.data.splits import Split as Split
    from kaggle_digits.data.splits import split as split
    from kaggle_digits.data.submission_csv import read_submission as read_submission
    from kaggle_digits.data.submission_csv import write_submission as write_submission
    from kaggle_digits.ensembling.ensemble import Ensemble as Ensemble
    from kaggle_digits.ensembling.ensemble import ensemble_runs as ensemble_runs
    from kaggle_digits.evaluation.data_inspection import inspect as inspect
    from kaggle_digits.evaluation.evaluate import evaluate as evaluate
    from kaggle_digits.metrics.scores import Score as Score
    from kaggle_digits.metrics.scores import score as score
    from kaggle_digits.runs.run import Run as Run
    from kaggle_digits.runs.run import list_runs as list_runs
    from kaggle_digits.runs.run import open_run as open_run
    from kaggle_digits.sources import fetch as fetch
    from kaggle_digits.training.augmentation import Augmentation as Augmentation
    from kaggle_digits.training.predict import predict_test as predict_test
    from kaggle_digits.training.recipe import Recipe as Recipe
    from kaggle_digits.training.recipes import RECIPES as RECIPES
    from kaggle_digits.training.recipes import find_recipe as find_recipe
    from kaggle_digits.training.train import resume as resume
    from kaggle_digits.training.train import train as train

from kaggle_digits._version import __version__ as __version__

# Module → the names that this package takes from it.
_NAMES = {
    "core.errors": "DataError DigitsError KaggleError ModelError RunError "
    "StorageError SubmissionError UsageError",
    "data.dataset": "Dataset load",
    "data.splits": "Split split",
    "data.submission_csv": "read_submission write_submission",
    "ensembling.ensemble": "Ensemble ensemble_runs",
    "evaluation.data_inspection": "inspect",
    "evaluation.evaluate": "evaluate",
    "metrics.scores": "Score score",
    "runs.run": "Run list_runs open_run",
    "sources.fetch": "fetch",
    "training.augmentation": "Augmentation",
    "training.predict": "predict_test",
    "training.recipe": "Recipe",
    "training.recipes": "RECIPES find_recipe",
    "training.train": "resume train",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = ["__version__", *_MODULE_OF]  # noqa: PLE0604 (they are strings)


def __getattr__(name: str) -> Any:
    if name == "predict_again":
        message = "kaggle_digits.predict_again is deprecated; use kaggle_digits.predict_test"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        name = "predict_test"
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
