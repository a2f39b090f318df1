"""kd submit: check a submission and send it to Kaggle."""

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import argument, flag, option
from kaggle_digits.core.errors import KaggleError, SubmissionError, UsageError

if TYPE_CHECKING:
    from kaggle_digits.data.submission_csv import Origin
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.submission_log import LogEntry


def submit(
    target: str | None = argument(
        "Default: the newest unsubmitted file.", **options.A_RUN | {"metavar": "FILE|RUN"}
    ),
    *,
    message: str | None = option("Default: the run and its accuracy.", "--message", "-m"),
    wait: bool = flag("Wait for the public score.", "--wait"),
    yes: bool = flag("Submit without asking.", "--yes", "-y"),
    force: bool = flag("Submit a file that was submitted before.", "--force"),
    timeout: float = options.TIMEOUT,
    data_dir: Path = options.DATA_DIR,
    runs_dir: Path = options.RUNS_DIR,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Check a submission, send it to Kaggle exactly once, and log it."""
    from kaggle_digits.cli.progress import DownloadProgress
    from kaggle_digits.kaggle_api import submit as api
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.http import RetryPolicy
    from kaggle_digits.kaggle_api.submission_log import read_log
    from kaggle_digits.kaggle_api.validate import find_submission_file, validate_submission
    from kaggle_digits.runs.submission_files import find_run_origin

    policy = RetryPolicy.from_timeout(timeout)
    path = find_submission_file(target, submissions_dir)
    console.note(f"checking {path}")
    folders = {"data_dir": data_dir, "submissions_dir": submissions_dir}
    checked = validate_submission(path, **folders, find_run=partial(find_run_origin, runs_dir))
    origin = f"from {checked.run}" if checked.origin else "made by an unknown run"
    if checked.origin and checked.origin.accuracy is not None:
        accuracy = console.percent(checked.origin.accuracy)
        origin += f", validation accuracy {accuracy} on {checked.origin.n_val:,} rows"
    console.note(f"valid: {checked.rows:,} rows, every id once, labels 0 to 9; {origin}")
    for warning in checked.warnings:
        console.warn(warning)
    _name_better(checked.origin, submissions_dir)
    if not yes and not is_interactive():
        command = shlex.join(["kd", "submit", str(path), "--yes"])
        raise UsageError(f"no terminal to confirm on; nothing was sent: {command}")

    with DownloadProgress() as display:
        kaggle = CompetitionClient(policy=policy, progress=display)
        console.note(f"using the {kaggle.credential}")
        earlier = None
        if not force:
            api.reconcile(submissions_dir, kaggle, checked)
            earlier = api.find_duplicate(checked, read_log(submissions_dir))
        api_arguments: dict[str, Any] = {"kaggle": kaggle, "submissions_dir": submissions_dir}
        if earlier is not None and earlier.ref is not None and wait:
            console.note(f"this file was submitted on {earlier.time[:10]} (ref {earlier.ref})")
            entry = earlier
        else:
            if earlier is None:
                _confirm(kaggle, path, yes=yes)
            entry = api.submit(checked, message=message, force=force, **api_arguments)
            console.note(f"submitted {path.name} (ref {entry.ref}): {entry.message}")
        if wait:
            console.note("waiting for the score")
            entry = api.wait_for_score(entry, **api_arguments)

    log = submissions_dir / "log.csv"
    if as_json:
        console.print_json(
            {**entry.row(), "log": log, "leak": getattr(checked.origin, "leak", None)}
        )
        return
    _print_entry(entry)
    console.note(f"logged in {log}")
    if entry.public_score is None:
        console.note("next: kd submissions, for the public score")


def _print_entry(entry: "LogEntry") -> None:
    console.echo(f"file:         {entry.file}")
    console.echo(f"ref:          {entry.ref}")
    console.echo(f"status:       {entry.status}")
    if entry.public_score is not None:
        console.echo(f"public score: {entry.public_score:.5f}")


def is_interactive() -> bool:
    """Return whether the user can be asked a question."""
    return sys.stdin is not None and sys.stdin.isatty()


def _name_better(chosen: "Origin | None", submissions_dir: Path) -> None:
    """Name the unsent submission whose 95 % interval begins highest, if it is more accurate.

    Few rows make a high accuracy by chance, and a wide interval.
    """
    from kaggle_digits.kaggle_api.validate import list_submissions
    from kaggle_digits.metrics.scores import accuracy_interval

    def low(origin: "Origin") -> float:
        interval = accuracy_interval(origin.accuracy, origin.n_val)
        return interval[0] if interval else 0.0

    unsent = [one for one in list_submissions(submissions_dir) if not one.sent]
    origins = {one.path: one.origin for one in unsent if one.origin and one.origin.is_competition}
    path = max(origins, key=lambda path: low(origins[path]), default=None)
    if path is None or chosen is None or chosen.accuracy is None:
        return
    accuracy, rows = origins[path].accuracy or 0.0, origins[path].n_val
    if accuracy > chosen.accuracy and low(origins[path]) > low(chosen):
        console.warn(
            f"{path} has a higher validation accuracy, {console.percent(accuracy)} on {rows:,} "
            "rows, and was not submitted; to send that one instead: kd submit "
            f"{shlex.quote(str(path))}"
        )


def _confirm(kaggle: "CompetitionClient", path: Path, *, yes: bool) -> None:
    """Print how many submissions are left today, and ask the user unless ``yes``."""
    from kaggle_digits.kaggle_api.errors import KaggleApiError

    try:
        limits = kaggle.submission_limits()
    except KaggleApiError as error:
        if error.status in (401, 403):
            raise
        console.note("could not find out how many submissions are left today")
    else:
        if limits:
            console.note(f"submissions left today: {limits.remaining}")
            if limits.remaining <= 0:
                used = f"no submission is left today ({limits.today} made)"
                raise KaggleError(f"{used}; try again after 00:00 UTC")
    if not yes and not console.confirm(f"Submit {path} to Kaggle?", default=True):
        raise SubmissionError(f"{path} was not submitted: you did not confirm")
