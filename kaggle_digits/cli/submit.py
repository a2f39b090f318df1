"""kd submit."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.kaggle_options import SECONDS, Display, Timeout
from kaggle_digits.cli.options import DATA, SUBMISSIONS, AsJson, DataDir, SubmissionsDir
from kaggle_digits.core.errors import KaggleError, SubmissionError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.submission_log import LogEntry
    from kaggle_digits.kaggle_api.validate import ValidatedSubmission

RESET = "the count starts anew at 00:00 UTC: run it again then"


def submit(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|RUN]",
            help="A submission file or a run's name; the newest file not yet sent if left out.",
            show_default=False,
        ),
    ] = None,
    *,
    message: Annotated[
        str | None,
        typer.Option("--message", "-m", help="Description; the run and its accuracy by default."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the score.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Send bytes that were sent before.")
    ] = False,
    timeout: Timeout = SECONDS,
    data_dir: DataDir = DATA,
    submissions_dir: SubmissionsDir = SUBMISSIONS,
    as_json: AsJson = False,
) -> None:
    """Check a submission, send it to Kaggle once, log it."""
    from kaggle_digits.kaggle_api import status
    from kaggle_digits.kaggle_api import submit as sending
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.retry import RetryPolicy
    from kaggle_digits.kaggle_api.validate import find_submission_file, validate_submission

    policy = RetryPolicy.from_timeout(timeout)
    path = find_submission_file(target, submissions_dir)
    console.note(f"checking {path}")
    checked = validate_submission(path, data_dir=data_dir)
    _show_check(checked)
    if not yes and not is_interactive():
        raise UsageError(f"nobody to ask: kd submit {path} needs --yes; nothing was sent")

    with Display() as display:
        kaggle = CompetitionClient(policy=policy, progress=display)
        console.note(f"using the {kaggle.credential}")
        status.reconcile(submissions_dir, kaggle)
        before = sending.find_duplicate(checked, submissions_dir)
        if before is not None and before.ref is not None and wait and not force:
            console.note(f"these bytes were sent on {before.time[:10]} (ref {before.ref})")
            entry = before
        else:
            if before is None or force:
                _ask(kaggle, path, yes=yes)
            entry = sending.submit(
                checked,
                kaggle=kaggle,
                submissions_dir=submissions_dir,
                message=message,
                force=force,
            )
            console.note(f"submitted {path.name} (ref {entry.ref}): {entry.message}")
        if wait:
            console.note("waiting for the score")
            entry = status.wait_for_score(entry, kaggle=kaggle, submissions_dir=submissions_dir)
    _show_entry(entry, submissions_dir, as_json=as_json)


def is_interactive() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def _show_check(checked: ValidatedSubmission) -> None:
    origin, made_by = checked.origin, "of unknown origin"
    if origin is not None:
        made_by = f"from {checked.run}"
        if origin.accuracy is not None:
            accuracy = console.percent(origin.accuracy)
            made_by += f", validation accuracy {accuracy} on {origin.n_val:,} rows"
    console.note(f"sound: {checked.rows:,} rows, ids in order, labels 0 to 9; {made_by}")
    for warning in checked.warnings:
        console.warn(warning)


def _ask(kaggle: CompetitionClient, path: Path, *, yes: bool) -> None:
    """Say how many submissions are left; let the user say no."""
    from kaggle_digits.kaggle_api.errors import KaggleApiError

    try:
        limits = kaggle.submission_limits()
    except KaggleApiError as error:
        if error.status in (401, 403):
            raise
        console.note("how many submissions are left today could not be learnt")
    else:
        if limits.known:
            console.note(f"submissions left today: {limits.remaining}")
        if limits.known and limits.remaining <= 0:
            raise KaggleError(f"no submission is left today ({limits.today} made); {RESET}")
    if not yes and not typer.confirm(f"Submit {path} to Kaggle?", default=True, err=True):
        raise SubmissionError(f"{path} was not sent")


def _show_entry(entry: LogEntry, submissions_dir: Path, *, as_json: bool) -> None:
    if as_json:
        console.print_json({**asdict(entry), "log": str(submissions_dir / "log.csv")})
        return
    console.echo(f"file:         {entry.file}")
    console.echo(f"ref:          {entry.ref}")
    console.echo(f"status:       {entry.status}")
    if entry.public_score is not None:
        console.echo(f"public score: {entry.public_score:.5f}")
    console.note(f"logged in {submissions_dir / 'log.csv'}")
