"""A toolkit for Kaggle's Digit Recognizer, as plain functions on numpy arrays.

    import kaggle_digits as kd

    kd.fetch("sample", "data")
    dataset = kd.load("data")
    run = kd.train(dataset, kd.find_recipe("dense"), kd.Split("folds", folds=5))
    print(kd.score(run.oof(), dataset.labels))

Each name is imported when it is first used, so importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaggle_digits.competition.sources import fetch as fetch
    from kaggle_digits.data.folder import Dataset as Dataset
    from kaggle_digits.data.folder import load as load
    from kaggle_digits.data.split import Split as Split
    from kaggle_digits.data.split import split as split
    from kaggle_digits.data.submission import read_submission as read_submission
    from kaggle_digits.data.submission import write_submission as write_submission
    from kaggle_digits.ensemble import Ensemble as Ensemble
    from kaggle_digits.ensemble import ensemble_runs as ensemble_runs
    from kaggle_digits.errors import DataError as DataError
    from kaggle_digits.errors import DigitsError as DigitsError
    from kaggle_digits.errors import KaggleError as KaggleError
    from kaggle_digits.errors import ModelError as ModelError
    from kaggle_digits.errors import RunError as RunError
    from kaggle_digits.errors import StorageError as StorageError
    from kaggle_digits.errors import SubmissionError as SubmissionError
    from kaggle_digits.errors import UsageError as UsageError
    from kaggle_digits.insight.evaluate import evaluate as evaluate
    from kaggle_digits.insight.inspect import inspect as inspect
    from kaggle_digits.run_store import list_runs as list_runs
    from kaggle_digits.run_store import open_run as open_run
    from kaggle_digits.runs import Run as Run
    from kaggle_digits.scores import Score as Score
    from kaggle_digits.scores import score as score
    from kaggle_digits.training.augment import Augmentation as Augmentation
    from kaggle_digits.training.predict import predict_again as predict_again
    from kaggle_digits.training.recipe import Recipe as Recipe
    from kaggle_digits.training.recipes import RECIPES as RECIPES
    from kaggle_digits.training.recipes import find_recipe as find_recipe
    from kaggle_digits.training.run import resume as resume
    from kaggle_digits.training.run import train as train

__version__ = "0.1.0"

_PLACES = {
    "Augmentation": "training.augment",
    "DataError": "errors",
    "Dataset": "data.folder",
    "DigitsError": "errors",
    "Ensemble": "ensemble",
    "KaggleError": "errors",
    "ModelError": "errors",
    "RECIPES": "training.recipes",
    "Recipe": "training.recipe",
    "Run": "runs",
    "RunError": "errors",
    "Score": "scores",
    "Split": "data.split",
    "StorageError": "errors",
    "SubmissionError": "errors",
    "UsageError": "errors",
    "ensemble_runs": "ensemble",
    "evaluate": "insight.evaluate",
    "fetch": "competition.sources",
    "find_recipe": "training.recipes",
    "inspect": "insight.inspect",
    "list_runs": "run_store",
    "load": "data.folder",
    "open_run": "run_store",
    "predict_again": "training.predict",
    "read_submission": "data.submission",
    "resume": "training.run",
    "score": "scores",
    "split": "data.split",
    "train": "training.run",
    "write_submission": "data.submission",
}
__all__ = ["__version__", *_PLACES]  # noqa: PLE0604 (they are strings)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
