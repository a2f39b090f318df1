"""kd fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import console
from kaggle_digits.cli.kaggle_options import SECONDS, Display, Timeout
from kaggle_digits.cli.options import DATA, AsJson, DataDir

if TYPE_CHECKING:
    from kaggle_digits.sources import FetchReport

NOT_THE_SPLIT = "not the competition's own split"


def fetch(
    source: Annotated[
        str,
        typer.Option(
            metavar="kaggle|sample|openml|PATH",
            help="kaggle: its API, with your account. sample: scikit-learn's small digits, no "
            f"account, no network. openml: MNIST, no account, {NOT_THE_SPLIT}. PATH: a "
            "downloaded digit-recognizer.zip, or a folder with the three files.",
        ),
    ] = "kaggle",
    force: Annotated[
        bool, typer.Option("--force", help="Fetch again, and replace another source's files.")
    ] = False,
    timeout: Timeout = SECONDS,
    data_dir: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Put train.csv, test.csv and sample_submission.csv into data/, verified."""
    from kaggle_digits.kaggle_api.retry import RetryPolicy
    from kaggle_digits.sources import fetch as fetch_files

    with Display() as display:
        report = fetch_files(
            source,
            data_dir,
            force=force,
            policy=RetryPolicy.from_timeout(timeout),
            progress=display,
        )
    for warning in report.warnings:
        console.warn(warning)
    if as_json:
        console.print_json(_as_json(report))
        return
    for file in report.files:
        news = "already there" if file.already else "fetched"
        size = f"{file.bytes / 1e6:.1f} MB"
        console.echo(f"{file.name}: {file.rows:,} rows, {size}, verified ({news})")
    console.echo(f"source: {report.source}, in {report.folder}")
    console.note("next: kd inspect, or kd train --model dense")


def _as_json(report: FetchReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "data_dir": str(report.folder),
        "files": {
            file.name: {
                "sha256": file.sha256,
                "bytes": file.bytes,
                "rows": file.rows,
                "already": file.already,
            }
            for file in report.files
        },
        "warnings": list(report.warnings),
    }
