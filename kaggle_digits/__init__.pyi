"""The public names, for type checkers; __init__.py imports from the same modules when needed."""

from kaggle_digits._version import __version__ as __version__
from kaggle_digits.api.estimator import DigitClassifier as DigitClassifier
from kaggle_digits.api.functions import classify as classify
from kaggle_digits.api.functions import classify_all as classify_all
from kaggle_digits.api.functions import compare as compare
from kaggle_digits.api.functions import ensemble as ensemble
from kaggle_digits.api.functions import evaluate as evaluate
from kaggle_digits.api.functions import export as export
from kaggle_digits.api.functions import inspect as inspect
from kaggle_digits.api.functions import label_errors as label_errors
from kaggle_digits.api.functions import load as load
from kaggle_digits.api.functions import open_run as open_run
from kaggle_digits.api.functions import predict as predict
from kaggle_digits.api.functions import publish as publish
from kaggle_digits.api.functions import resume as resume
from kaggle_digits.api.functions import runs as runs
from kaggle_digits.api.functions import submit as submit
from kaggle_digits.api.functions import train as train
from kaggle_digits.api.functions import tune as tune
from kaggle_digits.api.functions import write_submission as write_submission
from kaggle_digits.api.run import Run as Run
from kaggle_digits.core.errors import DataError as DataError
from kaggle_digits.core.errors import DigitsError as DigitsError
from kaggle_digits.core.errors import KaggleError as KaggleError
from kaggle_digits.core.errors import ModelError as ModelError
from kaggle_digits.core.errors import RunError as RunError
from kaggle_digits.core.errors import StorageError as StorageError
from kaggle_digits.core.errors import SubmissionError as SubmissionError
from kaggle_digits.core.errors import UsageError as UsageError
from kaggle_digits.data.dataset import Dataset as Dataset
from kaggle_digits.data.splits import Split as Split
from kaggle_digits.data.splits import split as split
from kaggle_digits.data.submission_csv import read_submission as read_submission
from kaggle_digits.ensembling.ensemble import Ensemble as Ensemble
from kaggle_digits.ensembling.ensemble import ensemble_runs as ensemble_runs
from kaggle_digits.metrics.scores import Score as Score
from kaggle_digits.metrics.scores import score as score
from kaggle_digits.runs.store import list_runs as list_runs
from kaggle_digits.sources.fetch import fetch as fetch
from kaggle_digits.training.augmentation import Augmentation as Augmentation
from kaggle_digits.training.predict import predict_test as predict_test
from kaggle_digits.training.recipe import Recipe as Recipe
from kaggle_digits.training.recipes import RECIPES as RECIPES
from kaggle_digits.training.recipes import find_recipe as find_recipe

__all__: list[str]
