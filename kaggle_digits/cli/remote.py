"""kd remote push, status, pull: a recipe trained on Kaggle's own GPUs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.kaggle_options import SECONDS, Display, Timeout
from kaggle_digits.cli.options import (
    DATA,
    RUNS,
    SUBMISSIONS,
    AsJson,
    DataDir,
    RunsDir,
    SubmissionsDir,
)
from kaggle_digits.cli.remote_shown import show_run, show_script, words
from kaggle_digits.core.errors import KaggleError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_notebooks.api import NotebookClient

app = typer.Typer(
    name="remote",
    help="Train on Kaggle's own GPUs: push a recipe, see how it stands, pull the run.",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
TRAINING, MACHINE = "How to train", "On what"
Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="The newest not pulled yet if left out.", show_default=False
    ),
]


@app.callback()
def _remote(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _set(panel: str, help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=False)


@app.command()
def push(
    recipe: Annotated[str, typer.Argument(help="A named recipe (kd recipes) or a recipe file.")],
    *,
    name: Annotated[str | None, _set(TRAINING, "Of the run; default RECIPE-1, …", "--name")] = None,
    folds: Annotated[
        int | None, _set(TRAINING, "Hold out each of K parts in turn.", "--folds")
    ] = None,
    seed: Annotated[int | None, _set(TRAINING, "As for kd train.", "--seed")] = None,
    epochs: Annotated[int | None, _set(TRAINING, "Passes over the rows.", "--epochs")] = None,
    repeats: Annotated[
        int | None, _set(TRAINING, "Do it R times, on other rows.", "--repeats")
    ] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu/--no-gpu", help="Two T4 cards.", rich_help_panel=MACHINE)
    ] = True,
    accelerator: Annotated[
        str | None,
        _set(MACHINE, "Kaggle's name of another machine; default NvidiaTeslaT4.", "--accelerator"),
    ] = None,
    internet: Annotated[
        bool,
        typer.Option(
            "--internet/--no-internet",
            help="Let the notebook install what Kaggle's image lacks.",
            rich_help_panel=MACHINE,
        ),
    ] = True,
    hours: Annotated[
        float | None,
        _set(
            MACHINE,
            "Stop after so many and keep the finished members; default 8.5, Kaggle's end is 12.",
            "--hours",
        ),
    ] = None,
    slug: Annotated[str | None, _set(MACHINE, "Of the notebook; default kd-RUN.", "--slug")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Push again though the last is not pulled.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make the script, send nothing.")] = (
        False
    ),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the script here; send nothing."),
    ] = None,
    timeout: Timeout = SECONDS,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Make a private Kaggle notebook that trains a recipe, and start it."""
    from kaggle_digits.core.atomic_io import write_text
    from kaggle_digits.kaggle_notebooks import push as pushing

    wish = pushing.PushRequest(
        recipe=recipe,
        name=name,
        folds=folds,
        seed=seed,
        epochs=epochs,
        repeats=repeats,
        accelerator=(accelerator or pushing.T4) if gpu else None,
        internet=internet,
        hours=pushing.HOURS if hours is None else hours,
        slug=slug,
    )
    ready = pushing.prepare(wish, runs_dir=runs_dir, submissions_dir=submissions_dir)
    kilobytes = ready.script.bytes / 1e3
    console.note(f"run {ready.order.run}: a script of {kilobytes:.0f} kB, toolkit and all")
    if dry_run or output is not None:
        if output is not None:
            write_text(output, ready.script.text)
        show_script(ready.order.run, ready.script.bytes, output, as_json=as_json)
        return
    with Display() as display:
        kernels = _kernels(timeout, display)
        pushed = pushing.push(ready, kernels=kernels, runs_dir=runs_dir, force=force)
    if as_json:
        console.print_json(asdict(pushed))
        return
    version = "" if pushed.version is None else f", version {pushed.version}"
    console.echo(f"run:      {pushed.run}")
    console.echo(f"notebook: {pushed.ref}{version} (private)")
    console.echo(f"page:     {pushed.url}")
    console.note(f"next: kd remote status {pushed.run} --wait · kd remote pull {pushed.run}")


@app.command()
def status(
    run: Run = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    timeout: Timeout = SECONDS,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Say how a pushed run stands at Kaggle: queued, running, complete or failed."""
    from kaggle_digits.kaggle_notebooks import push_record, status

    pushed = push_record.find(runs_dir, run)
    with Display() as display:
        kernels = _kernels(timeout, display)
        now = (
            status.wait(pushed, kernels, lambda news: console.note(words(news)))
            if wait
            else status.get_status(pushed, kernels)
        )
    if as_json:
        console.print_json(
            {
                **asdict(pushed),
                "state": now.state,
                "failure": now.failure,
                "stale": now.stale,
                "record": pushed.state,
            }
        )
    else:
        console.echo(words(now))
    if now.ended and now.state != "complete":
        raise KaggleError(
            f"{pushed.ref} {now.state}: {now.failure or 'no reason given'}; its last words: "
            f"kd remote pull {pushed.run}"
        )
    if now.ended and pushed.open:
        console.note(f"next: kd remote pull {pushed.run}")


@app.command()
def pull(
    run: Run = None,
    *,
    timeout: Timeout = SECONDS,
    data_dir: DataDir = DATA,
    runs_dir: RunsDir = RUNS,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Fetch what Kaggle trained, check all of it, make a run and a submission of it."""
    from kaggle_digits.kaggle_notebooks import pull as pulling
    from kaggle_digits.kaggle_notebooks import push_record

    pushed = push_record.find(runs_dir, run)
    with Display() as display:
        kernels = _kernels(timeout, display)
        pulled = pulling.pull(
            pushed, kernels, runs_dir=runs_dir, submissions_dir=submissions_dir, data_dir=data_dir
        )
    manifest = pulled.manifest
    if manifest.state == "partial":
        raise KaggleError(
            f"{manifest.members_done} of {manifest.members} members came back "
            f"({manifest.reason or 'no reason given'}) and are kept in {pulled.run.path}; "
            f"train the rest here: kd train --resume --name {pushed.run}"
        )
    show_run(pulled, as_json=as_json)


def _kernels(timeout: float, display: Display) -> NotebookClient:
    from kaggle_digits.kaggle_api.retry import RetryPolicy
    from kaggle_digits.kaggle_notebooks.api import NotebookClient

    kernels = NotebookClient(policy=RetryPolicy.from_timeout(timeout), progress=display)
    console.note(f"using the {kernels.credential}")
    return kernels
