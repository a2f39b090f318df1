"""kd fetch: download the three CSV files and check them."""

from pathlib import Path

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import argument, flag, option
from kaggle_digits.core.text import file_size


def complete_sources() -> list[str]:
    """Return the names of all sources, for the shell's completion."""
    from kaggle_digits.sources.fetch import SOURCES

    return list(SOURCES)


def fetch(
    named: str | None = argument(
        "kaggle (default): the competition's files (needs an account). sample: scikit-learn's "
        "small digits (no account, no network). openml: MNIST (no account, not the "
        "competition's split). Or the path of a downloaded digit-recognizer.zip, or of a "
        "folder with the three files.",
        "SOURCE",
        autocompletion=complete_sources,
    ),
    *,
    source: str | None = option("Another way to name SOURCE.", metavar="SOURCE"),
    force: bool = flag("Replace files, also of another source.", "--force"),
    timeout: float = options.TIMEOUT,
    data_dir: Path = options.DATA_DIR,
    as_json: bool = options.AS_JSON,
) -> None:
    """Download train.csv, test.csv and sample_submission.csv, and check them."""
    chosen = options.one_of(named, source, "--source") or "kaggle"
    from kaggle_digits.cli.progress import DownloadProgress
    from kaggle_digits.kaggle_api.http import RetryPolicy
    from kaggle_digits.sources.fetch import fetch as fetch_files

    with DownloadProgress() as display:
        policy = RetryPolicy.from_timeout(timeout)
        report = fetch_files(chosen, data_dir, force=force, policy=policy, progress=display)
    for warning in report.warnings:
        console.warn(warning)
    if as_json:
        files = {}
        for file in report.files:
            values = {"sha256": file.sha256, "bytes": file.size, "rows": file.rows}
            files[file.name] = {**values, "already": file.unchanged}
        origin = {"source": report.source, "data_dir": report.folder}
        console.print_json({**origin, "files": files, "warnings": list(report.warnings)})
        return
    for file in report.files:
        size = f"{file.rows:,} rows, {file_size(file.size)}"
        status = "already there" if file.unchanged else "new"
        console.echo(f"{file.name}: {size}, checked ({status})")
    console.echo(f"source: {report.source}, in {report.folder}")
    console.note("next: kd inspect, or kd train dense")
