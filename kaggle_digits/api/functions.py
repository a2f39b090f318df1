"""The steps of the command line as functions; folders that are not given are those of ``kd``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.api.run import Folder, Picture, Run, submit_file, to_picture
from kaggle_digits.core.errors import SubmissionError, UsageError
from kaggle_digits.core.output_paths import back_up, check_output
from kaggle_digits.core.platforms import default_folder
from kaggle_digits.data import dataset as data_folder
from kaggle_digits.data import submission_csv
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.ensembling.ensemble import ensemble_runs
from kaggle_digits.ensembling.ensemble_run import save_ensemble
from kaggle_digits.evaluation import data_inspection
from kaggle_digits.evaluation.comparison import ComparedRun, compare_runs
from kaggle_digits.evaluation.evaluate import Evaluation, load_oof
from kaggle_digits.evaluation.label_errors import LabelErrors
from kaggle_digits.imaging.loading import prepare_sheet
from kaggle_digits.inference import predictor
from kaggle_digits.inference.predictor import PicturePrediction, Predictor, finished_runs
from kaggle_digits.inference.sheet_reader import SheetPrediction, classify_sheet
from kaggle_digits.kaggle_api.submission_log import LogEntry
from kaggle_digits.kaggle_api.validate import find_submission_file
from kaggle_digits.runs import run as run_folder
from kaggle_digits.runs.store import open_run as open_existing
from kaggle_digits.training import train as training
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.executor import Executor
from kaggle_digits.training.export import ExportResult
from kaggle_digits.training.recipe import EnsembleRecipe, check_used
from kaggle_digits.training.recipes import RecipeLike, as_recipe

if TYPE_CHECKING:
    import pandas as pd

    from kaggle_digits.tuning.results import SearchResult

AnyRun = run_folder.Run | str


def load(data: Folder | pd.DataFrame = None, test: pd.DataFrame | None = None) -> Dataset:
    """Load a data folder, by default KD_DATA_DIR or ./data, or two DataFrames: train and test.

    Raises DataError, which names the place, if something is missing or has the wrong form.
    """
    if data is None or isinstance(data, str | Path):
        return data_folder.load(data or default_folder("data"))
    if test is None:
        raise UsageError("give both DataFrames: kd.load(train_df, test_df)")
    return data_folder.from_frames(data, test)


def inspect(dataset: Dataset | None = None) -> data_inspection.Inspection:
    """Count rows, classes and duplicates of a dataset, by default that of the data folder."""
    return data_inspection.inspect(dataset or load())


def train(
    dataset: Dataset,
    recipe: RecipeLike,
    split: Split | None = None,
    *,
    teacher: AnyRun | None = None,
    drop_rows: Folder = None,
    extra: Folder = None,
    time_limit: float | None = None,
    runs_dir: Folder = None,
    name: str | None = None,
    force: bool = False,
    executor: Executor | None = None,
    callback: TrainingCallback | None = None,
    log_to: Sequence[str] = (),
    **settings: Any,
) -> Run:
    """Train a model and return the finished run; its folder is runs/<name>.

    Args:
        recipe: the name of a recipe or model, a ``Recipe``, a recipe file, or a function that
            returns a new Keras model (28, 28, 1) → 10 or scikit-learn classifier of (n, 784).
        split: which rows are held out; by default 10 %, or the folds of an ensemble recipe.
        settings: changes of the recipe, such as ``epochs=5``.

    The other arguments and errors are those of ``kaggle_digits.training.train.train``.
    """
    _check_types(dataset, split, callback)
    chosen = as_recipe(recipe).with_changes(**settings)
    check_used(chosen, settings)
    if split is None:
        split = Split(folds=chosen.folds) if isinstance(chosen, EnsembleRecipe) else Split()
    run = training.train(
        dataset,
        chosen,
        split,
        teacher=None if teacher is None else open_run(teacher, runs_dir),
        drop_rows=drop_rows,
        extra=extra,
        time_limit=time_limit,
        runs_dir=runs_dir or default_folder("runs"),
        name=name,
        force=force,
        executor=executor,
        callback=callback,
        log_to=log_to,
    )
    return Run(run.path, dataset)


def resume(
    dataset: Dataset, *, name: str | None = None, runs_dir: Folder = None, **options: Any
) -> Run:
    """Continue an interrupted run, by default the newest.

    ``options`` and errors are those of ``kaggle_digits.training.train.resume``.
    """
    _check_types(dataset, callback=options.get("callback"))
    folder = runs_dir or default_folder("runs")
    return Run(training.resume(dataset, name=name, runs_dir=folder, **options).path, dataset)


def tune(
    dataset: Dataset,
    recipe: RecipeLike,
    split: Split | None = None,
    *,
    vary: Sequence[str] = (),
    trials: int = 30,
    runs_dir: Folder = None,
    **options: Any,
) -> SearchResult:
    """Search for better settings of a recipe; the same call again continues.

    Args:
        split: the folds that each trial is trained on; by default three.
        vary: settings, each a name or ``learning_rate=0.001:0.03:log`` or ``optimizer=adam,muon``;
            by default those that usually matter.
        trials: how many in all.
        options: those of ``kaggle_digits.tuning.search.search``, which also says what is raised.
    """
    from kaggle_digits.tuning.search import search
    from kaggle_digits.tuning.search_space import make_search_space

    _check_types(dataset, split)
    base = as_recipe(recipe)
    if isinstance(base, EnsembleRecipe):
        raise UsageError(f"recipe {base.name} is an ensemble; tune one of its models")
    space, split = make_search_space(base, vary), split or Split(folds=3)
    folder = runs_dir or default_folder("runs")
    return search(dataset, base, space, split, trials=trials, runs_dir=folder, **options)


def _check_types(dataset: Any, split: Any = None, callback: Any = None) -> None:
    """Raise UsageError for a folder, a number of folds or a callback of Keras as an argument."""
    if not isinstance(dataset, Dataset):
        raise UsageError(f"`dataset` is of type {type(dataset).__name__}; kd.load() returns one")
    if not isinstance(split, Split | None):
        raise UsageError(f"`split` is of type {type(split).__name__}; give kd.Split(folds=3)")
    if not isinstance(callback, TrainingCallback | None):
        raise UsageError(
            f"`callback` is of type {type(callback).__name__}; derive it from "
            "kaggle_digits.training.callbacks.TrainingCallback (to stop early: `patience=3`)"
        )


def runs(runs_dir: Folder = None) -> list[Run]:
    """Return the finished runs, most accurate first."""
    return [Run(run.path) for run in finished_runs(Path(runs_dir or default_folder("runs")))]


def open_run(name: AnyRun, runs_dir: Folder = None, *, dataset: Dataset | None = None) -> Run:
    """Return the run called ``name``, finished or not; RunError if there is none.

    ``dataset`` is the one it was trained on; None for that of the data folder.
    """
    if not isinstance(name, run_folder.Run):
        name = open_existing(runs_dir or default_folder("runs"), name)
    return Run(name.path, dataset or (name.data if isinstance(name, Run) else None))


def evaluate(run: AnyRun, dataset: Dataset | None = None, *, tta: int | None = None) -> Evaluation:
    """Measure a run on its held-out rows; see ``Run.evaluate``."""
    return open_run(run).evaluate(dataset, tta=tta)


def compare(*runs: AnyRun | Sequence[AnyRun], dataset: Dataset | None = None) -> list[ComparedRun]:
    """Score runs, or those of a list, on the rows that all held out, best first.

    Raises RunError if there are no such rows.
    """
    opened = _open_all(runs, dataset)
    data = next((run.data for run in opened if run.data), None) or load()
    oofs = {run.name: load_oof(run, data) for run in opened}
    leaks = {run.name: run.leak() for run in opened}
    splits = {run.name: run.config()["split"] for run in opened}
    return compare_runs(oofs, data.labels, leaks, splits)


def ensemble(
    *runs: AnyRun | Sequence[AnyRun],
    method: str = "mean",
    name: str | None = None,
    force: bool = False,
) -> Run:
    """Combine finished runs by ``mean``, ``vote``, ``weighted`` or ``stack`` into a new run.

    ``name`` None uses ensemble-1, -2, …; ``force`` renames an existing run of that name. The folder
    is that of the first run. Errors are those of ``ensemble_runs`` and ``save_ensemble``.
    """
    opened = _open_all(runs)
    data = next((run.data for run in opened if run.data), None) or load()
    opened[0].check_data(data)
    combined = ensemble_runs(opened, data.labels, method)
    folder = opened[0].path.parent
    saved = save_ensemble(combined, opened, data, method, runs_dir=folder, name=name, force=force)
    return Run(saved.path, data)


def _open_all(
    runs: Sequence[AnyRun | Sequence[AnyRun]], dataset: Dataset | None = None
) -> list[Run]:
    """Open runs that are given one by one or as one list; UsageError if there are none."""
    if len(runs) == 1 and isinstance(runs[0], list | tuple):
        runs = runs[0]
    if not runs:
        raise UsageError("no run is given; kd.runs() lists them")
    return [open_run(cast("AnyRun", run), dataset=dataset) for run in runs]


def label_errors(run: AnyRun, dataset: Dataset | None = None) -> LabelErrors:
    """Find labels of train.csv that are probably wrong; see ``Run.label_errors``."""
    return open_run(run).label_errors(dataset)


def predict(run: AnyRun, images: Any = None) -> NDArray[np.float32]:
    """Predict images, by default those of test.csv; see ``Run.predict``."""
    return open_run(run).predict(images)


def write_submission(
    path: Path | str, ids: NDArray[np.int64], labels: NDArray[np.integer], *, force: bool = False
) -> None:
    """Write a submission file of your own predictions; ``force`` renames an existing file first.

    The arguments and errors are those of ``kaggle_digits.data.submission_csv.write_submission``.
    """
    check_output(Path(path), force=force, error=SubmissionError)
    back_up(Path(path))
    submission_csv.write_submission(path, ids, labels)


def submit(
    target: AnyRun | Path | None = None, message: str | None = None, **settings: Any
) -> LogEntry:
    """Submit a run, or a file or run by its name, or the newest file that was not sent yet.

    ``settings`` are those of ``Run.submit``, which also says what is raised.
    """
    if isinstance(target, run_folder.Run):
        return open_run(target).submit(message, **settings)
    folder = Path(settings.get("submissions_dir") or default_folder("submissions"))
    path = find_submission_file(None if target is None else str(target), folder)
    return submit_file(path, message, **settings)


def classify(picture: Picture, run: AnyRun | None = None) -> PicturePrediction:
    """Predict the digit in a picture, by default with the best run; see ``Run.classify``."""
    return predictor.classify_picture(_predictor(run), to_picture(picture))


def classify_all(picture: Picture, run: AnyRun | None = None) -> SheetPrediction:
    """Read every digit of a picture, by default with the best run; see ``Run.classify_all``."""
    return classify_sheet(_predictor(run), prepare_sheet(to_picture(picture)))


def _predictor(run: AnyRun | None) -> Predictor:
    return Predictor(open_run(run)) if run else predictor.load_predictor(default_folder("runs"))


def export(run: AnyRun, format: str = "litert", **settings: Any) -> ExportResult:
    """Convert a run's model for other programs; see ``Run.export``."""
    return open_run(run).export(format, **settings)


def publish(run: AnyRun, to: str | None = None, **settings: Any) -> str:
    """Write a run's model with a model card, and send both to a site; see ``Run.publish``."""
    return open_run(run).publish(to, **settings)
