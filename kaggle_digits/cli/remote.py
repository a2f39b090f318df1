"""kd remote push, status, pull: train a recipe on Kaggle's GPUs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.kaggle_options import DEFAULT_TIMEOUT, DownloadProgress, Timeout
from kaggle_digits.cli.options import (
    DATA,
    RUNS,
    SUBMISSIONS,
    AsJson,
    DataDir,
    RunsDir,
    SubmissionsDir,
)
from kaggle_digits.core.errors import KaggleError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_notebooks.api import NotebookClient
    from kaggle_digits.kaggle_notebooks.pull import PullResult
    from kaggle_digits.kaggle_notebooks.status import PushStatus

app = typer.Typer(
    name="remote",
    help="Train on Kaggle's GPUs: push a recipe, show its status, pull the run.",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
TRAINING, MACHINE = "Training", "Machine"
Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="Default: the newest that was not pulled.", show_default=False
    ),
]


@app.callback()
def _remote(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _option(panel: str, help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=False)


@app.command()
def push(
    recipe: Annotated[str, typer.Argument(help="A named recipe (kd recipes) or a recipe file.")],
    *,
    name: Annotated[
        str | None, _option(TRAINING, "Name of the run; default RECIPE-1, …", "--name")
    ] = None,
    folds: Annotated[int | None, _option(TRAINING, "K-fold cross-validation.", "--folds")] = None,
    seed: Annotated[int | None, _option(TRAINING, "As for kd train.", "--seed")] = None,
    epochs: Annotated[int | None, _option(TRAINING, "Number of epochs.", "--epochs")] = None,
    repeats: Annotated[
        int | None, _option(TRAINING, "Repeat with other validation rows.", "--repeats")
    ] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu/--no-gpu", help="Two T4 GPUs.", rich_help_panel=MACHINE)
    ] = True,
    accelerator: Annotated[
        str | None,
        _option(
            MACHINE, "Kaggle's name of another machine; default NvidiaTeslaT4.", "--accelerator"
        ),
    ] = None,
    internet: Annotated[
        bool,
        typer.Option(
            "--internet/--no-internet",
            help="Let the notebook install packages that Kaggle's image lacks.",
            rich_help_panel=MACHINE,
        ),
    ] = True,
    hours: Annotated[
        float | None,
        _option(
            MACHINE,
            "Time limit, after which finished members are kept; default 8.5, Kaggle's own is 12.",
            "--hours",
        ),
    ] = None,
    slug: Annotated[
        str | None, _option(MACHINE, "Name of the notebook; default kd-RUN.", "--slug")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Push even if the last push was not pulled.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make the script, but do not send it.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the script to this file; do not send it."),
    ] = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Create a private Kaggle notebook that trains a recipe, and start it."""
    from kaggle_digits.core.atomic_io import write_text
    from kaggle_digits.kaggle_notebooks.push import DEFAULT_HOURS, T4, PushRequest, prepare
    from kaggle_digits.kaggle_notebooks.push import push as push_notebook

    request = PushRequest(
        recipe=recipe,
        name=name,
        folds=folds,
        seed=seed,
        epochs=epochs,
        repeats=repeats,
        accelerator=(accelerator or T4) if gpu else None,
        internet=internet,
        hours=DEFAULT_HOURS if hours is None else hours,
        slug=slug,
    )
    prepared = prepare(request, runs_dir=runs_dir, submissions_dir=submissions_dir)
    run, size = prepared.spec.run, prepared.script_bytes
    console.note(f"run {run}: a script of {size / 1e3:.0f} kB, including the toolkit")
    if dry_run or output is not None:
        if output is not None:
            write_text(output, prepared.script)
        if as_json:
            script = None if output is None else str(output)
            console.print_json({"run": run, "bytes": size, "script": script})
        else:
            written = f"{run}: {size:,} bytes" if output is None else f"{output}: written"
            console.echo(f"{written}; nothing was sent")
        return
    with DownloadProgress() as progress:
        client = _client(timeout, progress)
        record = push_notebook(prepared, client=client, runs_dir=runs_dir, force=force)
    if as_json:
        console.print_json(asdict(record))
        return
    version = "" if record.version is None else f", version {record.version}"
    console.echo(f"run:      {record.run}")
    console.echo(f"notebook: {record.ref}{version} (private)")
    console.echo(f"page:     {record.url}")
    console.note(f"next: kd remote status {record.run} --wait · kd remote pull {record.run}")


@app.command()
def status(
    run: Run = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show the status of a pushed run: queued, running, complete or failed."""
    from kaggle_digits.kaggle_notebooks import push_record, status

    record = push_record.find(runs_dir, run)
    with DownloadProgress() as progress:
        client = _client(timeout, progress)
        if wait:
            now = status.wait(record, client, lambda new: console.note(_describe(new)))
        else:
            now = status.get_status(record, client)
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


@app.command()
def pull(
    run: Run = None,
    *,
    timeout: Timeout = DEFAULT_TIMEOUT,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Download a run that was trained on Kaggle, validate it, and write its submission."""
    from kaggle_digits.kaggle_notebooks import push_record
    from kaggle_digits.kaggle_notebooks.pull import pull as pull_run

    record = push_record.find(runs_dir, run)
    with DownloadProgress() as progress:
        result = pull_run(
            record,
            _client(timeout, progress),
            runs_dir=runs_dir,
            submissions_dir=submissions_dir,
            data_dir=data_dir,
        )
    manifest = result.manifest
    if manifest.state == "partial":
        raise KaggleError(
            f"{manifest.members_done} of {manifest.members} members were trained "
            f"({manifest.reason or 'no reason given'}) and are kept in {result.run.path}; "
            f"train the rest here: kd train --resume --name {record.run}"
        )
    _show_result(result, as_json=as_json)


def _client(timeout: float, progress: DownloadProgress) -> NotebookClient:
    from kaggle_digits.kaggle_api.retry import RetryPolicy
    from kaggle_digits.kaggle_notebooks.api import NotebookClient

    client = NotebookClient(policy=RetryPolicy.from_timeout(timeout), progress=progress)
    console.note(f"using the {client.credential}")
    return client


def _describe(status: PushStatus) -> str:
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


def _show_result(result: PullResult, *, as_json: bool) -> None:
    """Print a run that was pulled."""
    run, metrics, manifest = result.run, result.run.metrics(), result.manifest
    if as_json:
        paths = {
            "folder": str(run.path),
            "submission": result.submission and str(result.submission),
        }
        console.print_json({"run": run.name, **paths, **manifest.environment, **metrics})
        return
    accuracy = console.percent(metrics["val_accuracy"], metrics["val_accuracy_ci95"])
    machine = ", ".join(manifest.gpus) or "no GPU"
    console.echo(
        f"{run.name}: validation accuracy {accuracy} on {metrics['n_val']:,} rows (95 % interval), "
        f"{manifest.seconds:.0f} s on {machine}"
    )
    console.echo(f"{run.path}: {len(manifest.files)} files, checksums verified")
    if result.submission is not None:
        console.echo(f"{result.submission}: written and checked")
    else:
        console.warn(f"no submission was written: {result.no_submission_reason}")
    console.note(f"next: kd evaluate {run.name}")
