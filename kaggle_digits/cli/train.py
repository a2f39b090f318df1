"""kd train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.options import (
    DATA,
    RUNS,
    SUBMISSIONS,
    AsJson,
    DataDir,
    RunsDir,
    SubmissionsDir,
)
from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kaggle_digits.data.splits import Split
    from kaggle_digits.runs.run import Run
    from kaggle_digits.training.executor import Executor

TRAINING, HOLDING_OUT, FOLDERS = "How to train", "What to hold out", "Folders and names"
PLACE = "Where to train"
LOCAL, RAY = "local", "ray"


def _set(panel: str, help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=False)


def train(
    *,
    model: Annotated[
        str | None,
        _set(
            TRAINING,
            "Of kd recipes, or your own package.module:function.",
            "--model",
        ),
    ] = None,
    recipe: Annotated[
        str | None, _set(TRAINING, "A named recipe (kd recipes) or a recipe file.", "--recipe")
    ] = None,
    epochs: Annotated[int | None, _set(TRAINING, "Passes over the rows.", "--epochs")] = None,
    batch_size: Annotated[int | None, _set(TRAINING, "Rows a step.", "--batch-size")] = None,
    learning_rate: Annotated[
        float | None, _set(TRAINING, "The highest reached.", "--learning-rate")
    ] = None,
    widths: Annotated[
        str | None, _set(TRAINING, "Units of each layer, as 128,128.", "--widths")
    ] = None,
    dropout: Annotated[float | None, _set(TRAINING, "Share dropped, 0 to 1.", "--dropout")] = None,
    l2: Annotated[float | None, _set(TRAINING, "Penalty on squared weights.", "--l2")] = None,
    normalize: Annotated[str | None, _set(TRAINING, "unit, l2 or standard.", "--normalize")] = None,
    patience: Annotated[
        int | None,
        _set(TRAINING, "Stop after N epochs without a better one; keep the best.", "--patience"),
    ] = None,
    seed: Annotated[
        int | None, _set(TRAINING, "Of split, weights and order; default 0.", "--seed")
    ] = None,
    val_fraction: Annotated[
        float | None, _set(HOLDING_OUT, "Hold out this share; default 0.1.", "--val-fraction")
    ] = None,
    folds: Annotated[
        int | None, _set(HOLDING_OUT, "Hold out each of K parts in turn.", "--folds")
    ] = None,
    all_rows: Annotated[
        bool, _set(HOLDING_OUT, "Hold out nothing: for a last submission.", "--all-rows")
    ] = False,
    repeats: Annotated[
        int | None, _set(HOLDING_OUT, "Do it R times, on other rows.", "--repeats")
    ] = None,
    rows: Annotated[int | None, _set(HOLDING_OUT, "Use only N labelled rows.", "--rows")] = None,
    pseudo: Annotated[
        str | None,
        _set(TRAINING, "A finished run: test images it is sure of join the rows.", "--pseudo"),
    ] = None,
    executor: Annotated[
        str | None, _set(PLACE, "local (this machine) or ray (a cluster).", "--executor")
    ] = None,
    address: Annotated[
        str | None, _set(PLACE, "Of a Ray cluster: auto, host:port or ray://…", "--address")
    ] = None,
    workers: Annotated[
        int | None, _set(PLACE, "Members at a time; default: what is fastest.", "--workers")
    ] = None,
    threads: Annotated[
        int | None, _set(PLACE, "Cores of each member; they decide its last bits.", "--threads")
    ] = None,
    gpus: Annotated[
        float | None, _set(PLACE, "GPUs of each member on a Ray cluster.", "--gpus")
    ] = None,
    name: Annotated[
        str | None, _set(FOLDERS, "Of the run; default MODEL-1, MODEL-2, …", "--name")
    ] = None,
    resume: Annotated[
        bool, _set(FOLDERS, "Go on with a run that was interrupted.", "--resume")
    ] = False,
    force: Annotated[bool, _set(FOLDERS, "Put a run of that name aside.", "--force")] = False,
    tensorboard: Annotated[
        bool, _set(FOLDERS, "Write events for TensorBoard into the run, too.", "--tensorboard")
    ] = False,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Train a model, predict test.csv, write runs/RUN and submissions/RUN.csv."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.runs.store import open_run
    from kaggle_digits.runs.submission_files import (
        move_existing,
        submission_path,
        write_run_submission,
    )
    from kaggle_digits.training.recipe import EnsembleRecipe
    from kaggle_digits.training.recipes import find_recipe
    from kaggle_digits.training.train import resume as resume_run
    from kaggle_digits.training.train import train as train_run

    place = find_executor(executor, address=address, workers=workers, threads=threads, gpus=gpus)
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "widths": _widths(widths),
        "dropout": dropout,
        "l2": l2,
        "normalize": normalize,
        "patience": patience,
    }
    if resume:
        held_out = (val_fraction, folds, all_rows or None, repeats, seed, rows)
        asked = (model, recipe, pseudo, *held_out, *settings.values())
        if any(value is not None for value in asked) or force:
            raise UsageError(
                "--resume takes every setting from the run but where to train; type "
                "kd train --resume [--name RUN]"
            )
        dataset = load(data_dir)
        run = _watched(
            lambda callback: resume_run(
                dataset, runs_dir=runs_dir, name=name, executor=place, callback=callback
            ),
            runs_dir,
            tensorboard=tensorboard,
        )
    else:
        chosen = find_recipe(recipe, model).with_changes(**settings)
        if (
            isinstance(chosen, EnsembleRecipe)
            and (val_fraction, folds) == (None, None)
            and not all_rows
        ):
            folds = chosen.folds
        how = _split(
            val_fraction=val_fraction,
            folds=folds,
            all_rows=all_rows,
            repeats=repeats,
            seed=seed,
            rows=rows,
        )
        teacher = open_run(runs_dir, pseudo) if pseudo is not None else None
        dataset = load(data_dir)
        if name is not None:
            move_existing(submission_path(submissions_dir, name), force=force)
        run = _watched(
            lambda callback: train_run(
                dataset,
                chosen,
                how,
                pseudo=teacher,
                runs_dir=runs_dir,
                name=name,
                force=force,
                taken=lambda free: submission_path(submissions_dir, free).exists(),
                executor=place,
                callback=callback,
            ),
            runs_dir,
            tensorboard=tensorboard,
        )
    written = write_run_submission(run, dataset, submission_path(submissions_dir, run.name))
    show_training(run, written, as_json=as_json)


def _watched(training: Any, runs_dir: Path, *, tensorboard: bool) -> Run:
    from kaggle_digits.cli.progress import TrainingProgress
    from kaggle_digits.runs.store import list_runs
    from kaggle_digits.training.callbacks import CallbackList, TensorBoardCallback

    events = [TensorBoardCallback(runs_dir)] if tensorboard else []
    with TrainingProgress() as progress:
        try:
            with interrupts.handle_sigint():
                finished: Run = training(CallbackList(progress, *events))
        except KeyboardInterrupt:
            progress.stop()
            if progress.name in {run.name for run in list_runs(runs_dir)}:
                console.note(
                    f"{progress.finished} of {progress.members} members of run {progress.name} "
                    f"are finished and kept; go on with: kd train --resume --name {progress.name}"
                )
            raise
    return finished


def _widths(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise UsageError(f"--widths {text!r} is not whole numbers and commas, as 128,128") from None


def _split(
    *,
    val_fraction: float | None,
    folds: int | None,
    all_rows: bool,
    repeats: int | None,
    seed: int | None,
    rows: int | None,
) -> Split:
    """The split asked for."""
    from kaggle_digits.data.splits import Split

    if (val_fraction is not None) + (folds is not None) + all_rows > 1:
        raise UsageError("choose one of --val-fraction, --folds and --all-rows")
    given: dict[str, Any] = {
        "val_fraction": val_fraction,
        "folds": folds,
        "repeats": repeats,
        "seed": seed,
        "rows": rows,
    }
    given = {key: value for key, value in given.items() if value is not None}
    kind = "all" if all_rows else "folds" if folds is not None else "holdout"
    return Split(kind=kind, **given)  # type: ignore[arg-type]


def find_executor(
    name: str | None,
    *,
    address: str | None,
    workers: int | None,
    threads: int | None,
    gpus: float | None,
) -> Executor:
    """The executor asked for; --address alone asks for ray.

    Raises:
        UsageError: no such executor, or an option that it does not have.
    """
    name = name or (RAY if address else LOCAL)
    if name == RAY:
        from kaggle_digits.executors.ray import RayExecutor

        return RayExecutor(address or "auto", workers, threads, gpus or 0)
    if name != LOCAL:
        raise UsageError(f"--executor {name} is unknown; one of: {LOCAL}, {RAY}")
    if address:
        raise UsageError("--address is of a Ray cluster: --executor ray")
    if gpus is not None:
        raise UsageError("--gpus is for --executor ray; here, each worker has a card to itself")
    from kaggle_digits.core.environment import gpus as cards
    from kaggle_digits.executors.local import LocalExecutor

    return LocalExecutor(workers, threads, len(cards()))


def show_training(run: Run, submission: Path, *, as_json: bool) -> None:
    """A finished run's figures and what to type next; or all as one JSON object.

    Raises:
        RunError: members of it failed, so that the figures are of the others.
    """
    metrics, config = run.metrics(), run.config()
    _show(run, submission, metrics, config, as_json=as_json)
    failed = metrics.get("failed", [])
    if failed:
        first = failed[0]
        which = ", ".join(str(failure["member"] + 1) for failure in failed)
        raise RunError(
            f"member{'s' * (len(failed) > 1)} {which} of run {run.name} failed, the last time "
            f"because {first['reason']}; the figures are of the other "
            f"{config['members'] - len(failed)}; try again: kd train --resume --name {run.name}"
        )


def _show(
    run: Run,
    submission: Path,
    metrics: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    if as_json:
        console.print_json(
            {"run": run.name, "folder": str(run.path), "submission": str(submission), **metrics}
        )
        return
    accuracy = metrics["val_accuracy"]
    if accuracy is None:
        console.echo(f"{run.name}: trained on every labelled row; nothing was held out to measure")
    else:
        what = "out-of-fold" if config["split"]["kind"] == "folds" else "validation"
        console.echo(
            f"{run.name}: {console.percent(accuracy, metrics['val_accuracy_ci95'])} right on "
            f"{metrics['n_val']} {what} rows (95 % interval), log loss {metrics['val_loss']:.4f}, "
            f"seed {config['seed']}, {metrics['train_seconds']:.0f} s on "
            f"{config['machine']['cores']} cores"
        )
        _show_designs(metrics.get("designs", []))
        if "chosen on the same rows" in metrics["epoch_choice"]:
            console.note(f"epoch kept: {metrics['epoch_choice']}")
        _warn_of_pseudo_labels(config.get("pseudo"))
    console.echo(f"{submission}: written and checked")
    if config["data"]["source"] == "kaggle":
        console.note(f"next: kd evaluate {run.name} · kd submit")
    else:
        console.note(
            f"next: kd evaluate {run.name} · to compete, train on Kaggle's own files: kd fetch"
        )


def _show_designs(designs: Sequence[Mapping[str, Any]]) -> None:
    """What each design of a committee is worth alone, and to the others."""
    for design in designs:
        adds = design["adds"]
        console.echo(
            f"  {design['model']}: {100 * design['val_accuracy']:.2f} % alone, weight "
            f"{design['weight']:.2f}; adds {console.signed(adds['right'], 'd')} rows right, "
            f"{console.signed(adds['log_loss'], '.4f')} log loss"
        )


def _warn_of_pseudo_labels(pseudo: Mapping[str, Any] | None) -> None:
    if pseudo and not pseudo["held_out_apart"]:
        console.note(
            f"run {pseudo['run']} held out other rows, so its pseudo-labels know labels of the "
            "validation rows: the accuracy is a little too high; train both with the same "
            "--folds and --seed"
        )
