"""kd remote push, status, pull: train a recipe on Kaggle's GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import Command, Group, argument, flag, option
from kaggle_digits.core.errors import KaggleError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_notebooks.api import NotebookClient
    from kaggle_digits.kaggle_notebooks.push_record import PushStatus

app = typer.Typer(
    name="remote",
    cls=Group,
    help="Train on Kaggle's GPUs: push a recipe, show its status, pull the run.",
    invoke_without_command=True,
)
machine, sending = partial(option, panel="Machine"), partial(option, panel="Sending")
RUN_TO_PULL = argument("A pushed run; default: the newest not pulled.", "RUN")


@app.callback()
def _remote(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command(cls=Command, epilog="Example: kd remote push best --name best-1")
def push(
    recipe: str = argument("A recipe of kd recipes, or a FILE.", default=..., **options.A_RECIPE),
    *,
    name: str | None = option("Name of the run; default RECIPE-1, …"),
    folds: int | None = option("K-fold cross-validation: train K models."),
    seed: int | None = option("As for kd train."),
    epochs: int | None = option("Passes over the training rows."),
    repeats: int | None = option("Repeat with N different splits."),
    gpu: bool = machine("Two T4 GPUs.", "--gpu/--no-gpu", show_default=True, default=True),
    accelerator: str | None = machine("Kaggle's name; default NvidiaTeslaT4."),
    internet: bool = machine(
        "Install missing packages.", "--internet/--no-internet", show_default=True, default=True
    ),
    hours: float = machine("Time limit; finished members are kept; default 8.5.", default=8.5),
    slug: str | None = sending("Name of the notebook; default kd-RUN."),
    force: bool = sending("Push even if not pulled; rename -o first.", "--force", default=False),
    dry_run: bool = sending("Make the script; do not send it.", "--dry-run", default=False),
    output: Path | None = sending("Write the script here; send nothing.", "--output", "-o"),
    timeout: float = options.TIMEOUT,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Create a private Kaggle notebook that trains a recipe, and start it."""
    from kaggle_digits.core.atomic_io import write_text
    from kaggle_digits.core.output_paths import back_up, check_output
    from kaggle_digits.kaggle_notebooks import push as notebook

    if accelerator and not gpu:
        raise UsageError("--accelerator names a GPU, and --no-gpu uses none; leave out one")
    if output is not None:
        check_output(output, force=force)
    spec = notebook.prepare(
        recipe,
        **{"epochs": epochs, "folds": folds, "seed": seed, "repeats": repeats},
        name=name,
        accelerator=(accelerator or "NvidiaTeslaT4") if gpu else None,
        internet=internet,
        hours=hours,
        slug=slug,
        runs_dir=runs_dir,
        submissions_dir=submissions_dir,
    )
    script = notebook.make_script(spec)
    size = len(script.encode())
    console.note(f"run {spec.run}: a script of {size / 1e3:.0f} kB, including the toolkit")
    if dry_run or output is not None:
        if output is not None:
            back_up(output)
            write_text(output, script)
        if as_json:
            console.print_json({"run": spec.run, "bytes": size, "script": output})
        else:
            written = f"{spec.run}: script made" if output is None else f"{output}: written"
            console.echo(f"{written}; nothing was sent")
        return
    with _notebook_client(timeout) as client:
        record = notebook.push(spec, script, client=client, runs_dir=runs_dir, force=force)
    if as_json:
        console.print_json(asdict(record))
        return
    version = "" if record.version is None else f", version {record.version}"
    console.echo(f"run:      {record.run}")
    console.echo(f"notebook: {record.ref}{version} (private)")
    console.echo(f"page:     {record.url}")
    console.note(f"next: kd remote status {record.run} --wait · kd remote pull {record.run}")


@app.command(cls=Command, epilog="Example: kd remote status best-1 --wait")
def status(
    run: str | None = RUN_TO_PULL,
    *,
    wait: bool = flag("Wait until it has ended.", "--wait"),
    timeout: float = options.TIMEOUT,
    runs_dir: Path = options.RUNS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Show the status of a pushed run: queued, running, complete or failed."""
    from kaggle_digits.kaggle_notebooks import push_record

    record = push_record.find(runs_dir, run)
    with _notebook_client(timeout) as client:
        if wait:
            now = push_record.wait(record, client, lambda new: console.note(_describe(new)))
        else:
            now = push_record.get_status(record, client)
    if as_json:
        state = {"state": now.state, "failure": now.failure, "stale": now.stale}
        console.print_json({**asdict(record), **state, "record": record.state})
    else:
        console.echo(_describe(now))
    if now.ended and now.state != "complete":
        raise KaggleError(
            f"{record.ref} {now.state}: {now.failure or 'no reason given'}; see its last lines: "
            f"kd remote pull {record.run}"
        )
    if now.ended and record.open:
        console.note(f"next: kd remote pull {record.run}")


@app.command(cls=Command, epilog="Example: kd remote pull best-1")
def pull(
    run: str | None = RUN_TO_PULL,
    *,
    timeout: float = options.TIMEOUT,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Download a run that was trained on Kaggle, validate it, and write its submission."""
    from kaggle_digits.kaggle_notebooks import push_record
    from kaggle_digits.kaggle_notebooks.pull import pull as pull_run

    record = push_record.find(runs_dir, run)
    folders = {"runs_dir": runs_dir, "submissions_dir": submissions_dir, "data_dir": data_dir}
    with _notebook_client(timeout) as client:
        result = pull_run(record, client, **folders)
    manifest = result.manifest
    if manifest.state == "partial":
        raise KaggleError(
            f"{manifest.members_done} of {manifest.members} members were trained "
            f"({manifest.reason or 'no reason given'}) and are kept in {result.run.path}; "
            f"train the rest here: kd train --resume --name {record.run}"
        )
    folder, metrics = result.run.path, result.run.metrics()
    if as_json:
        files = {"run": record.run, "folder": folder, "submission": result.submission}
        console.print_json({**files, **manifest.environment, **metrics})
        return
    accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
    console.echo(
        f"{record.run}: validation accuracy {accuracy} on {metrics['n_val']:,} rows (95 % "
        f"interval), seed {result.run.config()['seed']}, "
        f"{console.seconds(manifest.seconds)} on {', '.join(manifest.gpus) or 'no GPU'}"
    )
    console.echo(f"{folder}: {len(manifest.files)} files, checksums verified")
    if result.submission is not None:
        console.echo(f"{result.submission}: written and checked")
    else:
        console.warn(f"no submission was written: {result.no_submission_reason}")
    console.note(f"next: kd evaluate {record.run}")


@contextmanager
def _notebook_client(timeout: float) -> "Iterator[NotebookClient]":
    """Yield a client whose downloads are shown, and name its credential."""
    from kaggle_digits.cli.progress import DownloadProgress
    from kaggle_digits.kaggle_api.http import RetryPolicy
    from kaggle_digits.kaggle_notebooks.api import NotebookClient

    with DownloadProgress() as progress:
        client = NotebookClient(policy=RetryPolicy.from_timeout(timeout), progress=progress)
        console.note(f"using the {client.credential}")
        yield client


def _describe(status: "PushStatus") -> str:
    """Return the status of a push in one line."""
    meaning = {
        "queued": "queued: waiting for a machine",
        "running": "running: training, or packing the result",
        "complete": "complete: ready to be pulled",
    }.get(status.state, status.state)
    if status.stale:
        meaning = f"{status.state}, but that is an earlier version: this one has not started"
    failure = f": {status.failure}" if status.failure else ""
    return f"{status.push.run} ({status.push.ref}): {meaning}{failure}"
