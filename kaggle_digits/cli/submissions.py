"""kd submissions: list the submission files and what became of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import flag
from kaggle_digits.core.errors import KaggleError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_api.validate import LocalSubmission

COLUMNS = {
    **{"file": "", "accuracy\n(95 % interval)": ">", "rows": ",", "public\nscore": ".5f"},
    "submitted": "",
}


def submissions(
    *,
    offline: bool = flag("Do not ask Kaggle.", "--offline"),
    timeout: float = options.TIMEOUT,
    submissions_dir: Path = options.SUBMISSIONS_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """List the submissions, newest first, with local accuracy, public score and public rank."""
    from kaggle_digits.kaggle_api.client import CompetitionClient
    from kaggle_digits.kaggle_api.http import RetryPolicy
    from kaggle_digits.kaggle_api.submit import reconcile
    from kaggle_digits.kaggle_api.validate import list_submissions

    limits, rank, teams = None, None, None
    try:
        if not offline:
            kaggle = CompetitionClient(policy=RetryPolicy.from_timeout(timeout))
            reconcile(submissions_dir, kaggle)
            limits = kaggle.submission_limits()
            rank, teams = kaggle.public_rank() or (None, None)
    except KaggleError as error:
        console.note(f"without news from Kaggle: {error}")
    rows = list(map(_summarize, list_submissions(submissions_dir)))
    left = limits.remaining if limits else None
    if as_json:
        ranks = {"left_today": left, "public_rank": rank, "teams": teams}
        console.print_json({"submissions": rows, **ranks})
        return
    if not rows:
        console.note(f"no submission in {submissions_dir} yet; make one: kd train dense")
        return
    console.show_table(COLUMNS, map(_cells, rows))
    if left is not None:
        console.echo(f"submissions left today: {left}")
    if rank is not None:
        console.echo(f"public rank: {rank:,} of {teams:,}")


def _summarize(one: "LocalSubmission") -> dict[str, Any]:
    from kaggle_digits.metrics.scores import accuracy_interval

    origin = one.origin
    accuracy, n_val = (origin.accuracy, origin.n_val) if origin else (None, 0)
    return {
        "file": one.path,
        "runs": origin.runs if origin else [],
        "accuracy": accuracy,
        "ci95": accuracy_interval(accuracy, n_val),
        "n_val": n_val,
        "leak": origin.leak if origin else None,
        **{key: getattr(one.entry, key, None) for key in ("public_score", "status", "time", "ref")},
    }


def _cells(row: dict[str, Any]) -> list[object]:
    accuracy = "leaked" if row["leak"] else console.percent(row["accuracy"], row["ci95"])
    state = f"{row['time'][:10]}, {row['status']}" if row["time"] else None
    return [row["file"].name, accuracy, row["n_val"], row["public_score"], state]
