"""kd train: train a model, predict the test images and write a submission."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core import environment, interrupts, trust
from kaggle_digits.core.errors import RunError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.data.splits import Split
    from kaggle_digits.runs.run import Run
    from kaggle_digits.training.fold import Executor
    from kaggle_digits.training.recipe import EnsembleRecipe, Recipe

_split = partial(option, panel="Validation")
_device = partial(option, panel="Hardware")
_folder = partial(option, panel="Run folder")
# Options that are fields of the recipe and of the split; --resume refuses them.
RECIPE_OPTIONS = {"epochs", "batch_size", "learning_rate", "dropout", "l2", "normalize", "patience"}
SPLIT_OPTIONS = {"val_fraction", "folds", "repeats", "seed", "rows"}
OTHER_FIXED_OPTIONS = {"model", "recipe", "widths", "pseudo", "all_rows", "force"}


def train(
    named: options.RecipeName = None,
    *,
    recipe: options.RecipeOption = None,
    model: options.ModelOption = None,
    epochs: Annotated[int | None, option("Passes over the training rows.")] = None,
    batch_size: Annotated[int | None, option("Rows per step.")] = None,
    learning_rate: Annotated[
        float | None, option("Peak learning rate.", "--learning-rate", "--lr")
    ] = None,
    widths: Annotated[str | None, option("Units of each hidden layer, such as 128,128.")] = None,
    dropout: Annotated[float | None, option("Dropout rate, from 0 to 1.")] = None,
    l2: Annotated[float | None, option("L2 penalty on the weights.")] = None,
    normalize: Annotated[str | None, option("Pixels: unit (0 to 1), l2, standard or none.")] = None,
    patience: Annotated[int | None, option("Early stopping N epochs after the best one.")] = None,
    seed: Annotated[int | None, option("Seed of split, weights and row order; default 0.")] = None,
    pseudo: Annotated[str | None, option("Pseudo-labelling: run that labels test images.")] = None,
    val_fraction: Annotated[float | None, _split("Share of rows to hold out; default 0.1.")] = None,
    folds: Annotated[int | None, _split("K-fold cross-validation: train K models.")] = None,
    all_rows: Annotated[bool, _split("Train on all rows; no validation.", "--all-rows")] = False,
    repeats: Annotated[int | None, _split("Repeat with R different splits.")] = None,
    rows: Annotated[int | None, _split("Use only N labelled rows.")] = None,
    executor: Annotated[str | None, _device("local (this machine) or ray (a cluster).")] = None,
    address: Annotated[str | None, _device("Ray cluster: auto, host:port or ray://…")] = None,
    workers: Annotated[int | None, _device("Models trained at a time; default: fastest.")] = None,
    threads: Annotated[
        int | None, _device("CPU threads per model; changes the last bits of the result.")
    ] = None,
    gpus: Annotated[float | None, _device("GPUs per model on a Ray cluster.")] = None,
    name: Annotated[str | None, _folder("Name of the run; default MODEL-1, MODEL-2, …")] = None,
    resume: Annotated[bool, _folder("Resume an interrupted run.", "--resume")] = False,
    force: Annotated[bool, _folder("If the run exists, rename it first.", "--force")] = False,
    tensorboard: Annotated[bool, _folder("Write TensorBoard files, too.", "--tensorboard")] = False,
    data_dir: options.DataDir = options.DATA,
    runs_dir: options.RunsDir = options.RUNS,
    submissions_dir: options.SubmissionsDir = options.SUBMISSIONS,
    as_json: options.AsJson = False,
) -> None:
    """Train a model and predict test.csv; write runs/RUN and submissions/RUN.csv."""
    given: dict[str, Any] = {
        key: value for key, value in locals().items() if value is not None and value is not False
    }
    from kaggle_digits.cli.progress import TrainingProgress
    from kaggle_digits.data.dataset import load
    from kaggle_digits.runs import submission_files
    from kaggle_digits.runs.run import check_new_run, list_runs, open_run
    from kaggle_digits.training import callbacks
    from kaggle_digits.training import train as training
    from kaggle_digits.training.recipes import find_recipe

    submission_path = partial(submission_files.submission_path, submissions_dir)
    chosen_executor = _make_executor(executor, address, workers, threads, gpus)
    if resume:
        if given.keys() & (RECIPE_OPTIONS | SPLIT_OPTIONS | OTHER_FIXED_OPTIONS):
            raise UsageError(
                "--resume uses the settings saved in the run; leave them out: "
                "kd train --resume [--name RUN]"
            )
        name = options.one_of(named, name, "--name")
        dataset = load(data_dir)
        start = partial(training.resume, dataset)
    else:
        changes = {key: given[key] for key in RECIPE_OPTIONS & given.keys()}
        changes |= {"widths": _parse_widths(widths)}
        chosen = find_recipe(*options.recipe_and_model(named, recipe, model))
        chosen = chosen.with_changes(**changes)
        split = _make_split(chosen, given)
        teacher = open_run(runs_dir, pseudo) if pseudo is not None else None
        if name is not None:
            submission_files.require_absent(submission_path(name), force=force)
        check_new_run(runs_dir, name, force=force)
        dataset = load(data_dir)
        if name is not None:
            submission_files.move_existing(submission_path(name), force=force)
        start = partial(
            training.train,
            dataset,
            chosen,
            split,
            teacher=teacher,
            force=force,
            is_taken=lambda free: submission_files.is_taken(submission_path(free)),
        )
    with TrainingProgress() as progress:
        events = [callbacks.TensorBoardCallback(runs_dir)] if tensorboard else []
        callback = callbacks.CallbackList(progress, *events)
        try:
            with interrupts.handle_sigint():
                run = start(
                    runs_dir=runs_dir, name=name, executor=chosen_executor, callback=callback
                )
        except KeyboardInterrupt:
            progress.stop()
            if progress.name in {run.name for run in list_runs(runs_dir)}:
                console.note(
                    f"{progress.done} of {progress.members} members of run {progress.name} are "
                    f"finished and saved; resume: kd train --resume --name {progress.name}"
                    f"{' --trust' * (trust.is_enabled() or ':' in (model or named or ''))}"
                )
            raise
    path = submission_files.write_run_submission(run, dataset, submission_path(run.name))
    _print_run(run, path, as_json=as_json)
    if failed := run.metrics().get("failed"):  # the other members were combined
        numbers = ", ".join(str(failure["member"] + 1) for failure in failed)
        raise RunError(
            f"member{'s' * (len(failed) > 1)} {numbers} of run {run.name} failed: "
            f"{failed[0]['reason']}; the metrics are those of the other "
            f"{run.config()['members'] - len(failed)}; try again: "
            f"kd train --resume --name {run.name}"
        )


def _make_split(recipe: "Recipe | EnsembleRecipe", given: dict[str, Any]) -> "Split":
    """Return the split for the options; by default an ensemble recipe is cross-validated."""
    from kaggle_digits.data.splits import Split

    kinds = given.keys() & {"val_fraction", "folds", "all_rows"}
    if len(kinds) > 1:
        raise UsageError("choose one of --val-fraction, --folds and --all-rows")
    sizes = {key: given[key] for key in SPLIT_OPTIONS & given.keys()}
    if not kinds and (folds := getattr(recipe, "folds", None)):
        sizes["folds"] = folds
    return Split(
        "all" if "all_rows" in kinds else "folds" if "folds" in sizes else "holdout", **sizes
    )


def _make_executor(
    name: str | None,
    address: str | None,
    workers: int | None,
    threads: int | None,
    gpus: float | None,
) -> "Executor":
    """Return the executor for the options; --address alone means Ray."""
    if name == "ray" or (name is None and address):
        from kaggle_digits.executors.ray import RayExecutor

        return RayExecutor(address or "auto", gpus or 0, workers=workers, threads=threads)
    if name not in (None, "local"):
        raise UsageError(f"--executor {name} is unknown; choose local or ray")
    if address:
        raise UsageError("--address needs --executor ray")
    if gpus is not None:
        raise UsageError("--gpus needs --executor ray; a local worker uses one whole GPU")
    from kaggle_digits.executors.local import LocalExecutor

    if environment.choose_jax_on_gpu():
        console.note("backend: JAX, which is faster than TensorFlow on a GPU (KERAS_BACKEND=jax)")
    return LocalExecutor(len(environment.gpus()), workers=workers, threads=threads)


def _parse_widths(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise UsageError(f"--widths {text!r} is not a list of whole numbers (128,128)") from None


def _print_run(run: "Run", submission: Path, *, as_json: bool) -> None:
    """Print the metrics of a finished run and the next command."""
    metrics, config = run.metrics(), run.config()
    if as_json:
        paths = {"folder": str(run.path), "submission": str(submission)}
        console.print_json({"run": run.name, **paths, **metrics})
        return
    if metrics.get("leak"):
        leaked = f"leaked: {console.percent(metrics['leaked_accuracy'])}"
        console.echo(f"{run.name}: no out-of-fold accuracy ({leaked} on {metrics['n_val']:,} rows)")
    elif metrics["val_accuracy"] is None:
        console.echo(f"{run.name}: trained on every labelled row, without validation")
    else:
        accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
        kind = "out-of-fold" if config["split"].get("kind") == "folds" else "validation"
        console.echo(
            f"{run.name}: accuracy {accuracy} on {metrics['n_val']:,} {kind} rows "
            f"(95 % interval), log loss {metrics['val_loss']:.4f}, seed {config['seed']}, "
            f"{metrics['train_seconds']:.0f} s on {config['machine'].get('cores', '?')} cores"
        )
        for item in metrics.get("designs") or []:  # the models of an ensemble recipe
            adds = item["adds"]
            console.echo(
                f"  {item['model']}: {100 * item['val_accuracy']:.2f} % alone, weight "
                f"{item['weight']:.2f}; adds {console.signed(adds['right'], 'd')} correct rows, "
                f"{console.signed(adds['log_loss'], '.4f')} log loss"
            )
        if "chosen on the same rows" in metrics["epoch_choice"]:
            console.note(f"saved epoch: {metrics['epoch_choice']}")
    console.echo(f"{submission}: written and checked")
    from_kaggle = config["data"].get("source") == "kaggle"
    next_step = "kd submit" if from_kaggle else "to submit, train on Kaggle's data: kd fetch"
    console.note(f"next: kd evaluate {run.name} · {next_step}")
