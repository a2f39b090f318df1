"""Send a submission file to Kaggle, as ``kd submit`` does, without questions."""

import warnings
from functools import partial
from pathlib import Path

from kaggle_digits.api.folders import default_folder
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_api.submission_log import LogEntry


def submit_file(
    path: Path,
    message: str | None = None,
    *,
    wait: bool = False,
    force: bool = False,
    data_dir: Path | str | None = None,
    runs_dir: Path | str | None = None,
    submissions_dir: Path | str | None = None,
    policy: RetryPolicy | None = None,
) -> LogEntry:
    """Check a submission file, send it to Kaggle exactly once, log it, and return the log entry.

    ``message`` describes it; by default the run and its accuracy. ``wait`` waits for the public
    score, ``force`` sends predictions again that were sent before. ``policy`` has the time-outs.
    What is unusual but allowed is a Python warning.

    Raises:
        DataError: the competition's files are not in ``data_dir``.
        SubmissionError: the file is not valid, not made from these, or was sent before.
        KaggleError: Kaggle cannot be reached or rejected it.
    """
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.submit import submit, wait_for_score
    from kaggle_digits.kaggle_api.validate import validate_submission
    from kaggle_digits.runs.submission_files import find_run_origin

    folder = Path(submissions_dir or default_folder("submissions"))
    checked = validate_submission(
        path,
        data_dir=data_dir or default_folder("data"),
        submissions_dir=folder,
        find_run=partial(find_run_origin, Path(runs_dir or default_folder("runs"))),
    )
    for text in checked.warnings:
        warnings.warn(text, stacklevel=3)
    client = CompetitionClient(policy=policy or RetryPolicy())
    entry = submit(checked, message=message, force=force, kaggle=client, submissions_dir=folder)
    return wait_for_score(entry, kaggle=client, submissions_dir=folder) if wait else entry
