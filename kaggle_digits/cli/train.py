"""kd train: train a model, predict the test images and write a submission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core import interrupts
from kaggle_digits.core.errors import RunError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.data.splits import Split
    from kaggle_digits.runs.run import Run
    from kaggle_digits.training.callbacks import TrainingCallback
    from kaggle_digits.training.executor import Executor

VALIDATION, HARDWARE, RUN = "Validation", "Hardware", "Run folder"
LOCAL, RAY = "local", "ray"


def train(
    *,
    model: Annotated[
        str | None, option("A model of kd recipes, or your own package.module:function.")
    ] = None,
    recipe: Annotated[
        str | None, option("A named recipe (see kd recipes) or a recipe file.")
    ] = None,
    epochs: Annotated[int | None, option("Passes over the training rows.")] = None,
    batch_size: Annotated[int | None, option("Rows per step.")] = None,
    learning_rate: Annotated[float | None, option("Peak learning rate.")] = None,
    widths: Annotated[str | None, option("Units of each hidden layer, such as 128,128.")] = None,
    dropout: Annotated[float | None, option("Dropout rate, from 0 to 1.")] = None,
    l2: Annotated[float | None, option("L2 penalty on the weights.")] = None,
    normalize: Annotated[str | None, option("Pixel normalization: unit, l2 or standard.")] = None,
    patience: Annotated[
        int | None,
        option("Early stopping: stop after N epochs without improvement, keep the best epoch."),
    ] = None,
    seed: Annotated[int | None, option("Seed of split, weights and row order; default 0.")] = None,
    pseudo: Annotated[
        str | None,
        option(
            "Pseudo-labelling: also train on the test images that this finished run "
            "predicts with high confidence."
        ),
    ] = None,
    val_fraction: Annotated[
        float | None, option("Hold out this share of the rows; default 0.1.", panel=VALIDATION)
    ] = None,
    folds: Annotated[
        int | None, option("K-fold cross-validation: train K models.", panel=VALIDATION)
    ] = None,
    all_rows: Annotated[
        bool, option("Train on all rows, without validation.", "--all-rows", panel=VALIDATION)
    ] = False,
    repeats: Annotated[
        int | None, option("Repeat with R different splits.", panel=VALIDATION)
    ] = None,
    rows: Annotated[int | None, option("Use only N labelled rows.", panel=VALIDATION)] = None,
    executor: Annotated[
        str | None, option("local (this machine) or ray (a Ray cluster).", panel=HARDWARE)
    ] = None,
    address: Annotated[
        str | None, option("Ray cluster to use: auto, host:port or ray://…", panel=HARDWARE)
    ] = None,
    workers: Annotated[
        int | None,
        option("Models to train at the same time; default: the fastest choice.", panel=HARDWARE),
    ] = None,
    threads: Annotated[
        int | None,
        option(
            "CPU threads per model; another number changes the last bits of the result.",
            panel=HARDWARE,
        ),
    ] = None,
    gpus: Annotated[
        float | None, option("GPUs per model on a Ray cluster.", panel=HARDWARE)
    ] = None,
    name: Annotated[
        str | None, option("Name of the run; default MODEL-1, MODEL-2, …", panel=RUN)
    ] = None,
    resume: Annotated[bool, option("Resume an interrupted run.", "--resume", panel=RUN)] = False,
    force: Annotated[
        bool, option("If the run exists, rename it and train a new one.", "--force", panel=RUN)
    ] = False,
    tensorboard: Annotated[
        bool, option("Also write TensorBoard event files.", "--tensorboard", panel=RUN)
    ] = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    submissions_dir: options.SubmissionsDir = options.SUBMISSIONS,
    as_json: options.AsJson = False,
) -> None:
    """Train a model and predict test.csv; write runs/RUN and submissions/RUN.csv."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.runs.store import open_run
    from kaggle_digits.runs.submission_files import (
        move_existing,
        submission_path,
        write_run_submission,
    )
    from kaggle_digits.training import train as training
    from kaggle_digits.training.recipe import EnsembleRecipe
    from kaggle_digits.training.recipes import find_recipe

    chosen_executor = _make_executor(executor, address, workers, threads, gpus)
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "widths": _parse_widths(widths),
        "dropout": dropout,
        "l2": l2,
        "normalize": normalize,
        "patience": patience,
    }

    def train_or_resume(callback: TrainingCallback) -> Run:
        if resume:
            return training.resume(
                dataset,
                runs_dir=runs_dir,
                name=name,
                executor=chosen_executor,
                callback=callback,
            )
        return training.train(
            dataset,
            chosen,
            split,
            teacher=teacher,
            runs_dir=runs_dir,
            name=name,
            force=force,
            is_taken=lambda free: submission_path(submissions_dir, free).exists(),
            executor=chosen_executor,
            callback=callback,
        )

    if resume:
        split_settings = (val_fraction, folds, all_rows or None, repeats, seed, rows)
        fixed = (model, recipe, pseudo, force or None, *split_settings, *settings.values())
        if any(value is not None for value in fixed):
            raise UsageError(
                "--resume uses the settings saved in the run; leave them out: "
                "kd train --resume [--name RUN]"
            )
        dataset = load(data_dir)
    else:
        chosen = find_recipe(recipe, model).with_changes(**settings)
        by_default = val_fraction is None and folds is None and not all_rows
        if isinstance(chosen, EnsembleRecipe) and by_default:
            folds = chosen.folds
        split = _make_split(val_fraction, folds, repeats, seed, rows, all_rows=all_rows)
        teacher = open_run(runs_dir, pseudo) if pseudo is not None else None
        dataset = load(data_dir)
        if name is not None:
            move_existing(submission_path(submissions_dir, name), force=force)
    run = _with_progress(train_or_resume, runs_dir, tensorboard=tensorboard)
    submission = write_run_submission(run, dataset, submission_path(submissions_dir, run.name))
    _print_run(run, submission, as_json=as_json)
    _raise_if_failed(run)


def _make_executor(
    name: str | None,
    address: str | None,
    workers: int | None,
    threads: int | None,
    gpus: float | None,
) -> Executor:
    """Return the executor for the options; --address alone means Ray."""
    name = name or (RAY if address else LOCAL)
    if name == RAY:
        from kaggle_digits.executors.ray import RayExecutor

        return RayExecutor(address or "auto", workers, threads, gpus or 0)
    if name != LOCAL:
        raise UsageError(f"--executor {name} is unknown; choose {LOCAL} or {RAY}")
    if address:
        raise UsageError("--address needs --executor ray")
    if gpus is not None:
        raise UsageError("--gpus needs --executor ray; a local worker uses one whole GPU")
    from kaggle_digits.core import environment
    from kaggle_digits.executors.local import LocalExecutor

    return LocalExecutor(workers, threads, len(environment.gpus()))


def _parse_widths(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise UsageError(
            f"--widths {text!r} is not a list of whole numbers such as 128,128"
        ) from None


def _make_split(
    val_fraction: float | None,
    folds: int | None,
    repeats: int | None,
    seed: int | None,
    rows: int | None,
    *,
    all_rows: bool,
) -> Split:
    from kaggle_digits.data.splits import Split

    if (val_fraction is not None) + (folds is not None) + all_rows > 1:
        raise UsageError("choose one of --val-fraction, --folds and --all-rows")
    settings: dict[str, Any] = {
        "kind": "all" if all_rows else "folds" if folds is not None else "holdout",
        "val_fraction": val_fraction,
        "folds": folds,
        "repeats": repeats,
        "seed": seed,
        "rows": rows,
    }
    return Split(**{key: value for key, value in settings.items() if value is not None})


def _with_progress(
    train: Callable[[TrainingCallback], Run], runs_dir: Path, *, tensorboard: bool
) -> Run:
    """Run ``train`` with a live display; after Ctrl-C, print how to resume."""
    from kaggle_digits.cli.progress import TrainingProgress
    from kaggle_digits.runs.store import list_runs
    from kaggle_digits.training.callbacks import CallbackList, TensorBoardCallback

    further = [TensorBoardCallback(runs_dir)] if tensorboard else []
    with TrainingProgress() as progress:
        try:
            with interrupts.handle_sigint():
                return train(CallbackList(progress, *further))
        except KeyboardInterrupt:
            progress.stop()
            if progress.name in {run.name for run in list_runs(runs_dir)}:
                console.note(
                    f"{progress.finished} of {progress.members} members of run {progress.name} "
                    f"are finished and saved; resume: kd train --resume --name {progress.name}"
                )
            raise


def _print_run(run: Run, submission: Path, *, as_json: bool) -> None:
    """Print the metrics of a finished run and the next command."""
    metrics, config = run.metrics(), run.config()
    if as_json:
        console.print_json(
            {"run": run.name, "folder": str(run.path), "submission": str(submission), **metrics}
        )
        return
    if metrics["val_accuracy"] is None:
        console.echo(f"{run.name}: trained on every labelled row, without validation")
    else:
        accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
        kind = "out-of-fold" if config["split"]["kind"] == "folds" else "validation"
        console.echo(
            f"{run.name}: accuracy {accuracy} on {metrics['n_val']:,} {kind} rows "
            f"(95 % interval), log loss {metrics['val_loss']:.4f}, seed {config['seed']}, "
            f"{metrics['train_seconds']:.0f} s on {config['machine']['cores']} cores"
        )
        for item in metrics.get("designs", []):  # the models of an ensemble recipe
            adds = item["adds"]
            console.echo(
                f"  {item['model']}: {100 * item['val_accuracy']:.2f} % alone, weight "
                f"{item['weight']:.2f}; adds {console.signed(adds['right'], 'd')} correct rows, "
                f"{console.signed(adds['log_loss'], '.4f')} log loss"
            )
        if "chosen on the same rows" in metrics["epoch_choice"]:
            console.note(f"saved epoch: {metrics['epoch_choice']}")
        pseudo = config.get("pseudo")
        if pseudo and not pseudo["held_out_apart"]:
            console.note(
                f"run {pseudo['run']} held out other rows, so its pseudo-labels contain "
                "information about the labels of the validation rows: the accuracy is a little "
                "too high; train both runs with the same --folds and --seed"
            )
    console.echo(f"{submission}: written and checked")
    if config["data"]["source"] == "kaggle":
        console.note(f"next: kd evaluate {run.name} · kd submit")
    else:
        console.note(f"next: kd evaluate {run.name} · to submit, train on Kaggle's data: kd fetch")


def _raise_if_failed(run: Run) -> None:
    """Raise RunError if some members failed, although the others were combined."""
    failed = run.metrics().get("failed", [])
    if failed:
        count = run.config()["members"] - len(failed)
        numbers = ", ".join(str(failure["member"] + 1) for failure in failed)
        raise RunError(
            f"member{'s' * (len(failed) > 1)} {numbers} of run {run.name} failed: "
            f"{failed[0]['reason']}; the metrics are those of the other {count}; try again: "
            f"kd train --resume --name {run.name}"
        )
