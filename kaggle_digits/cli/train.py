"""kd train: train a model, predict the test images and write a submission."""

import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import flag, option
from kaggle_digits.core import environment, interrupts, trust
from kaggle_digits.core.errors import DigitsError, RunError, UsageError, check_at_least
from kaggle_digits.core.text import plural

if TYPE_CHECKING:
    from kaggle_digits.data.dataset import Dataset
    from kaggle_digits.data.splits import Split
    from kaggle_digits.runs.run import Run
    from kaggle_digits.training.executor import Executor
    from kaggle_digits.training.recipe import EnsembleRecipe, Recipe

_recipe = partial(option, panel="Settings of the recipe")
_split = partial(option, panel="Data and validation")
_device = partial(option, panel="Hardware and logging")
# Options that are fields of the recipe and of the split.
RECIPE_OPTIONS = {"epochs", "batch_size", "learning_rate", "dropout", "l2", "normalize", "patience"}
RECIPE_OPTIONS |= {"optimizer", "schedule", "weight_decay", "label_smoothing", "augment"}
SPLIT_OPTIONS = {"val_fraction", "folds", "repeats", "seed", "rows"}
# Options that the command to resume a run repeats; of the others, --resume accepts only the name.
RESUME_OPTIONS = {"executor", "address", "workers", "threads", "gpus", "tensorboard", "log_to"}
FOLDERS = {"data_dir", "runs_dir", "submissions_dir"}  # printed commands repeat them by themselves


def train(
    named: str | None = options.RECIPE,
    *,
    epochs: int | None = option("Passes over the training rows."),
    folds: int | None = option("K-fold cross-validation: train K models."),
    name: str | None = option("Name of the run; default MODEL-1, MODEL-2, …"),
    seed: int | None = option("Seed of split, weights and row order; default 0."),
    time_limit: str | None = option(
        "Shorten the training to end in 90s, 20m or 1h30m; without a model, choose the recipe.",
        metavar="TIME",
    ),
    resume: bool = flag("Resume an interrupted run.", "--resume"),
    force: bool = flag("If the run exists, rename it first.", "--force"),
    learning_rate: float | None = _recipe("Peak learning rate.", "--learning-rate", "--lr"),
    batch_size: int | None = _recipe("Rows per step."),
    optimizer: str | None = _recipe("adam, adamw, sgd or muon."),
    schedule: str | None = _recipe("Of the learning rate: onecycle, exponential or constant."),
    weight_decay: float | None = _recipe("Weight decay of adamw and muon."),
    label_smoothing: float | None = _recipe("Label smoothing, from 0 to 1."),
    augment: bool | None = _recipe("Transform images at random.", "--augment/--no-augment"),
    dropout: float | None = _recipe("Dropout rate, from 0 to 1."),
    l2: float | None = _recipe("L2 penalty on the weights."),
    widths: str | None = _recipe("Units of each hidden layer, such as 128,128."),
    normalize: str | None = _recipe("Pixels: unit (0 to 1), l2, standard or none."),
    patience: int | None = _recipe("Early stopping N epochs after the best one."),
    recipe: str | None = options.RECIPE_OPTION,
    model: str | None = options.MODEL_OPTION,
    val_fraction: float | None = _split("Share of rows to hold out; default 0.1."),
    all_rows: bool = _split("Train on all rows; no validation.", "--all-rows", default=False),
    repeats: int | None = _split("Repeat with N different splits."),
    rows: int | None = _split("Use only N labelled rows."),
    drop_rows: Path | None = _split("CSV file with lines of train.csv never to train on."),
    extra: Path | None = _split("Also train on its pictures; it has labels.csv.", metavar="FOLDER"),
    pseudo: str | None = _split("Pseudo-labelling: run that labels test images.", **options.A_RUN),
    seeds: int | None = _split("Train N runs, NAME-seed1 to NAME-seedN; print mean and spread."),
    executor: str | None = _device("local (this machine) or ray (a cluster)."),
    address: str | None = _device("Ray cluster: auto, host:port or ray://…"),
    workers: int | None = _device("Models trained at a time; default: fastest."),
    threads: int | None = _device("CPU threads per model; changes the last bits of the result."),
    gpus: float | None = _device("GPUs per model on a Ray cluster."),
    log_to: str | None = _device("tensorboard, mlflow or wandb; several: mlflow,wandb."),
    tensorboard: bool = _device("Short for --log-to tensorboard.", "--tensorboard", default=False),
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Train a model and predict test.csv; write runs/RUN and submissions/RUN.csv."""
    given: dict[str, Any] = {
        key: value
        for key, value in locals().items()
        if value is not None and (value is not False or key == "augment")
    }
    began = time.time()
    from kaggle_digits.data.dataset import load
    from kaggle_digits.kaggle_notebooks import push_record
    from kaggle_digits.runs import submission_files
    from kaggle_digits.runs.store import check_new_run, open_run
    from kaggle_digits.training import train as training
    from kaggle_digits.training.recipe import check_used
    from kaggle_digits.training.recipes import find_recipe
    from kaggle_digits.training.time_limit import TimeLimit, choose_recipe

    run_once = partial(_run_once, given, _make_executor(given))
    if resume:
        if given.keys() - RESUME_OPTIONS - FOLDERS - {"resume", "named", "name", "as_json"}:
            raise UsageError("--resume uses the settings saved in the run: kd train --resume [RUN]")
        name = options.one_of(named, name, "--name")
        dataset = load(data_dir)
        _print_run(*run_once(dataset, partial(training.resume, dataset), name), as_json=as_json)
        return
    limit = TimeLimit(_parse_duration(time_limit), began) if time_limit is not None else None
    if limit and (executor == "ray" or address):
        raise UsageError("--time-limit measures this machine, so it cannot be used with Ray")
    _split_config(given)  # raises before anything is loaded
    recipe, model = options.recipe_and_model(named, recipe, model)
    if limit and model is recipe is None:
        console.note("choosing a recipe: measuring the speed of this machine")
        recipe, limit = choose_recipe(limit, load(data_dir), partial(_split_config, given))
    changes = {key: given[key] for key in RECIPE_OPTIONS & given.keys()}
    chosen = find_recipe(recipe, model).with_changes(**changes, widths=_parse_widths(widths))
    check_used(chosen, changes)
    split = _split_config(given, chosen)
    if chosen.fills_time and (executor == "ray" or address or seeds is not None):
        other = "--seeds: it trains many seeds itself" if seeds else "Ray: it measures this machine"
        raise UsageError(f"recipe {chosen.name} cannot be used with {other}")
    teacher = open_run(runs_dir, pseudo) if pseudo is not None else None
    submission_path = partial(submission_files.submission_path, submissions_dir)
    if name is not None and seeds is None:
        check_new_run(runs_dir, name, force=force)
        submission_files.require_absent(submission_path(name), force=force)
    dataset = load(data_dir)
    start = partial(training.train, dataset, chosen, teacher=teacher, drop_rows=drop_rows)
    start = partial(start, extra=extra, time_limit=limit, force=force)
    if seeds is not None:
        _train_seeds(given, chosen, split, partial(run_once, dataset), start)
        return

    def is_taken(name: str) -> bool:
        is_pushed = (push_record.record_dir(runs_dir, name) / push_record.FILE).exists()
        return is_pushed or submission_files.is_taken(submissions_dir, name)

    start = partial(start, split_config=split, is_taken=is_taken)
    _print_run(*run_once(dataset, start, name), as_json=as_json)


def _split_config(
    given: Mapping[str, Any], recipe: "Recipe | EnsembleRecipe | None" = None
) -> "Split":
    """Return the split that the options ask for; an ensemble recipe has a default of its own."""
    from kaggle_digits.data.splits import Split

    kinds = given.keys() & {"val_fraction", "folds", "all_rows"}
    if len(kinds) > 1:
        raise UsageError("choose one of --val-fraction, --folds and --all-rows")
    settings = {key: given[key] for key in SPLIT_OPTIONS & given.keys()}
    if not kinds and (folds := getattr(recipe, "folds", None)):
        settings["folds"] = folds
    if "all_rows" in given:
        return Split("all", **settings)
    return Split("folds" if "folds" in settings else "holdout", **settings)


def _run_once(
    given: Mapping[str, Any],
    executor: "Executor",
    dataset: "Dataset",
    start: "Callable[..., Run]",
    name: str | None,
) -> "tuple[Run, Path]":
    """Train a run, show its progress, and write its submission.

    KeyboardInterrupt has the command that resumes the run, or the series with --seeds.
    """
    from kaggle_digits.cli.progress import TrainingProgress
    from kaggle_digits.runs import submission_files
    from kaggle_digits.runs.run import Run
    from kaggle_digits.runs.store import list_runs

    runs_dir = given["runs_dir"]
    resumed = Run(runs_dir / name) if name and "resume" in given else None
    had_failures = bool(resumed and resumed.finished and resumed.metrics().get("failed"))
    submission_path = partial(submission_files.submission_path, given["submissions_dir"])

    def back_up_submission(name: str) -> None:
        """With --force, when the new run replaces the one that the submission was made from."""
        if "force" in given:
            submission_files.move_existing(submission_path(name), force=True)

    log_to = given["log_to"].split(",") if "log_to" in given else []
    start = partial(start, log_to=log_to + ["tensorboard"] * ("tensorboard" in given))
    with TrainingProgress(back_up_submission) as progress:
        try:
            with interrupts.handle_sigint():
                run = start(runs_dir=runs_dir, name=name, executor=executor, callback=progress)
        except KeyboardInterrupt:
            progress.stop()
            if progress.name not in {run.name for run in list_runs(runs_dir)}:
                raise
            state = f"run {progress.name} is not finished"
            if progress.members > 1:
                done = f"{progress.done} of {progress.members} members"
                state = f"{done} of run {progress.name} are finished and saved"
            resume = _resume_command(given, progress.name)
            raise KeyboardInterrupt(f"{state}; resume: {resume}") from None
    path = submission_path(run.name)
    force = had_failures and submission_files.is_own(path, run.name)  # its predictions are others
    try:
        return run, submission_files.write_run_submission(run, dataset, path, force=force)
    except DigitsError:
        console.note(f"run {run.name} is finished; to write its submission: kd predict {run.name}")
        raise


def _resume_command(given: Mapping[str, Any], name: str) -> str:
    """Return the command that resumes the run; with --seeds, the same one, without --force."""
    words, kept = ["kd", "train", "--resume", "--name", name], RESUME_OPTIONS & given.keys()
    if "seeds" in given:
        words, kept = words[:2], given.keys() - FOLDERS - {"force"}
    for key in sorted(kept):
        value = given[key]
        option = ("--no-" if value is False else "--") + key.removeprefix("as_").replace("_", "-")
        words += [option] * (key != "named") + [str(value)] * (not isinstance(value, bool))
    is_users = ":" in f"{given.get('model')}{given.get('named')}"
    return shlex.join(words) + " --trust" * (trust.is_enabled() or is_users)


def _make_executor(given: Mapping[str, Any]) -> "Executor":
    """Return the executor for the options; --address alone means Ray."""
    name, address, gpus = map(given.get, ("executor", "address", "gpus"))
    limits = {key: given.get(key) for key in ("workers", "threads")}
    if name == "ray" or (name is None and address):
        from kaggle_digits.executors.ray import RayExecutor

        return RayExecutor(address=address or "auto", gpus=gpus or 0, **limits)
    if name not in (None, "local"):
        raise UsageError(f"--executor {name} is unknown; choose local or ray")
    if address:
        raise UsageError("--address needs --executor ray")
    if gpus is not None:
        raise UsageError("--gpus needs --executor ray; a local worker uses one whole GPU")
    from kaggle_digits.executors.local import local_executor

    if environment.choose_jax_on_gpu():
        console.note("backend: JAX, which is faster than TensorFlow on a GPU (KERAS_BACKEND=jax)")
    return local_executor(len(environment.gpus()), **limits)


def _parse_widths(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(map(int, re.split("[,-]", text)))  # tables show 128-128
    except ValueError:
        raise UsageError(f"--widths {text!r} is not a list of whole numbers (128,128)") from None


def _parse_duration(text: str) -> float:
    """Return the seconds of 90s, 20m or 1h30m."""
    if not text or not re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?", text):
        raise UsageError(f"--time-limit {text!r} is no duration, such as 90s, 20m or 1h30m")
    units = {"h": 3600, "m": 60, "s": 1}
    return float(sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([hms])", text)))


def _train_seeds(
    given: Mapping[str, Any],
    recipe: "Recipe | EnsembleRecipe",
    split: "Split",
    run_once: "Callable[..., tuple[Run, Path]]",
    start: "partial[Run]",
) -> None:
    """Train a run for each seed, resuming those that exist; print them, their mean and spread."""
    from kaggle_digits.metrics.scores import summarize_seeds
    from kaggle_digits.runs import submission_files
    from kaggle_digits.runs.run import CONFIG_FILE, Run
    from kaggle_digits.runs.store import check_new_name, numbered_names
    from kaggle_digits.training.train import has_settings, resume

    check_at_least("seeds", given["seeds"], 2)
    if "time_limit" in given:
        raise UsageError(
            "--time-limit would give each of the --seeds other settings; give --epochs instead"
        )
    base = given.get("name") or next(numbered_names(recipe.name)).removesuffix("-1")
    sources, first_seed = (given.get("pseudo"), given.get("drop_rows")), given.get("seed", 1)
    starts: dict[str, Callable[..., Run]] = {}
    for seed in range(first_seed, first_seed + given["seeds"]):
        name, own_split = f"{base}-seed{seed}", replace(split, seed=seed)
        run = Run(given["runs_dir"] / check_new_name(given["runs_dir"], name))
        if (run.path / CONFIG_FILE).is_file() and "force" not in given:
            if not has_settings(run, recipe, own_split, *sources, extra=given.get("extra")):
                advice = "choose another --name, or --force to back up the old one"
                raise RunError(f"run {name} already exists with other settings; {advice}")
            starts[name] = partial(resume, start.args[0])
        else:
            path = submission_files.submission_path(given["submissions_dir"], name)
            submission_files.require_absent(path, force="force" in given)
            starts[name] = partial(start, split_config=own_split)
    results = []
    for name, begin in starts.items():
        results.append(run_once(begin, name))
        if "as_json" not in given:
            _print_metrics(results[-1][0])
    runs = [run for run, _ in results]
    # Each seed chooses other --rows.
    same_rows = split.kind == "folds" and split.rows in (None, len(start.args[0].train))
    summary = summarize_seeds([run.metrics() for run in runs], same_rows=same_rows)
    if "as_json" in given:
        console.print_json({"runs": [_to_json(*each) for each in results], "summary": summary})
    elif summary:
        low, high = summary["ci95"]
        console.echo(
            f"{base}, {len(runs)} seeds: mean accuracy {console.percent(summary['mean'])}, "
            f"standard deviation {100 * summary['standard_deviation']:.2f} points, from "
            f"{console.percent(summary['lowest'])} to {console.percent(summary['highest'])}; "
            f"95 % interval of the mean {100 * low:.2f}–{100 * high:.2f} %"
        )
        console.note(f"interval: {summary['method']}; the runs differ by chance only")
    for run in runs:
        _raise_failed(run)


def _to_json(run: "Run", submission: Path) -> dict[str, Any]:
    paths = {"folder": run.path, "submission": submission}
    return {"run": run.name, **paths, **run.metrics()}


def _print_run(run: "Run", submission: Path, *, as_json: bool) -> None:
    """Print the metrics of a finished run and the next command; RunError if a member failed."""
    if as_json:
        console.print_json(_to_json(run, submission))
    else:
        _print_metrics(run)
        console.echo(f"{submission}: written and checked")
        from_kaggle = run.config()["data"].get("source") == "kaggle"
        next_step = "kd submit" if from_kaggle else "to submit: kd fetch --force, then train again"
        console.note(f"next: kd evaluate {run.name} · {next_step}")
    _raise_failed(run)


def _raise_failed(run: "Run") -> None:
    if failed := run.metrics().get("failed"):  # the other members were combined
        numbers = ", ".join(str(failure["member"] + 1) for failure in failed)
        raise RunError(
            f"member{'s' * (len(failed) > 1)} {numbers} of run {run.name} failed: "
            f"{failed[0]['reason']}; the metrics are those of the other "
            f"{run.config()['members'] - len(failed)}; try again: "
            f"kd train --resume --name {run.name}"
        )


def _print_metrics(run: "Run") -> None:
    from kaggle_digits.core.environment import device

    metrics, config = run.metrics(), run.config()
    if extra_rows := run.extra_rows():
        console.note(f"{run.name} was trained on {plural(extra_rows, 'extra picture')}, too")
    if metrics.get("leak"):
        leaked = f"leaked: {console.percent(metrics['leaked_accuracy'])}"
        console.echo(f"{run.name}: no out-of-fold accuracy ({leaked} on {metrics['n_val']:,} rows)")
    elif metrics["val_accuracy"] is None:
        rows = metrics.get("n_train_rows")  # of an older version, unknown
        count = f"{rows:,} " if rows else ""
        console.echo(f"{run.name}: trained on all {count}rows, without validation")
    else:
        accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
        kind = "out-of-fold" if config["split"].get("kind") == "folds" else "validation"
        console.echo(
            f"{run.name}: accuracy {accuracy} on {metrics['n_val']:,} {kind} rows "
            f"(95 % interval), log loss {metrics['val_loss']:.4f}, seed {config['seed']}, "
            f"{console.seconds(metrics['train_seconds'])} on {device(config['machine'])}"
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
