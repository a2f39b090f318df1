"""kd remote pull: download the run that a notebook trained, validate it, move it into runs/."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.errors import DataError, KaggleError, RunError, one_line
from kaggle_digits.core.zip_extract import ArchiveError, extract, open_zip
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import FoldIndices
from kaggle_digits.kaggle_notebooks import entry_point, push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.push_record import PushRecord, PushStatus, get_status
from kaggle_digits.runs import submission_files
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import create_run, is_empty
from kaggle_digits.training.members import is_complete, load_result

# Part of a path in a run folder: not hidden, no .., no drive, valid on every file system.
PATH_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_DEPTH, MAX_FILES = 4, 10_000
MAX_BYTES = 4 << 30  # of a run; that of the largest recipe has less than a tenth
MAX_MANIFEST_BYTES = 16 << 20
ERROR_LINES = 5  # of the log, in a message


@dataclass(frozen=True)
class FileInfo:
    """Size and SHA-256 of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The result of a session, written by entry_point."""

    push_id: str
    run: str
    state: str  # finished, partial (some members are finished) or failed
    reason: str  # why it is not finished
    log_tail: tuple[str, ...]  # last lines of kd train
    files: dict[str, FileInfo]  # path in the run → size and SHA-256
    archive: FileInfo | None  # the zip
    data: dict[str, str]  # file name → SHA-256 of the data of the training
    members: int | None
    members_done: int
    toolkit: str  # version of this package on Kaggle
    gpus: list[str]
    seconds: float  # duration of the session
    versions: dict[str, str]  # of Python and packages

    @property
    def environment(self) -> dict[str, Any]:
        """The part that config.json keeps."""
        return {key: getattr(self, key) for key in ("toolkit", "gpus", "seconds", "versions")}


@dataclass(frozen=True)
class PullResult:
    """A run that was trained on Kaggle, and its submission or why there is none."""

    run: Run
    submission: Path | None
    no_submission_reason: str
    manifest: Manifest


def pull(
    push: PushRecord,
    client: NotebookClient,
    *,
    runs_dir: Path,
    submissions_dir: Path,
    data_dir: Path,
) -> PullResult:
    """Download the output of a notebook, validate it, and move it into ``runs_dir``.

    A pull that is killed leaves no partial run; the next one resumes the download. Of a run whose
    ``manifest.state`` is partial, ``kd train --resume`` trains the missing members. KaggleError:
    the session has not ended or failed, or its output is not valid. RunError, SubmissionError: a
    run or submission of that name exists.
    """
    submission = submission_files.submission_path(submissions_dir, push.run)
    with push_record.lock(runs_dir, push.run) as folder:
        run = _run_of_interrupted_pull(push, runs_dir)
        if run is None:
            advice = "rename it, then pull again"
            submission_files.require_absent(submission, force=False, advice=advice)
        status = get_status(push, client)
        if status.stale:
            raise _earlier_version_error(push)
        if not status.ended:
            raise KaggleError(
                f"{push.ref} is {status.state}; wait for it: kd remote status {push.run} --wait"
            )
        downloads = folder / "downloads"
        with wrap_os_errors(downloads):
            downloads.mkdir(exist_ok=True)
        files, log = client.output(push.ref)
        manifest = _download_manifest(status, client, files, log, downloads, runs_dir=runs_dir)
        name, size = entry_point.ARCHIVE, manifest.archive.bytes if manifest.archive else 0
        if name not in files or size > MAX_BYTES:
            raise KaggleError(f"{push.ref} left no {name} of a valid size; see {push.url}")
        dataset, reason = _load_same_data(manifest, data_dir)
        if run is None:
            archive = client.download(name, files[name], downloads, max_size=size, size=size)
            run = _install(push, manifest, archive, runs_dir, dataset)
        written = None
        if manifest.state == entry_point.PARTIAL:
            reason = "some members are not trained yet"
        elif dataset is not None:
            written = submission_files.write_run_submission(run, dataset, submission)
        push_record.write(runs_dir, replace(push, state=push_record.PULLED, reason=manifest.reason))
        shutil.rmtree(downloads, ignore_errors=True)
    return PullResult(run, written, reason, manifest)


def _run_of_interrupted_pull(push: PushRecord, runs_dir: Path) -> Run | None:
    """Return the run if an earlier pull of this push was killed after it had moved the run here."""
    run = Run(runs_dir / push.run)
    if not run.path.is_dir() or is_empty(run.path):
        return None
    with suppress(RunError):
        remote = run.config().get("remote") or {}
        if push.open and remote.get("push_id") == push.push_id:
            return run
    rename = f"kd runs rename {push.run} NAME"
    raise RunError(f"run {push.run} already exists in {runs_dir}; {rename}, then pull again")


def _earlier_version_error(push: PushRecord) -> KaggleError:
    return KaggleError(
        f"Kaggle still shows the earlier version of {push.ref}; wait a little: "
        f"kd remote status {push.run} --wait, then pull again"
    )


def _download_manifest(
    status: PushStatus,
    client: NotebookClient,
    files: dict[str, str],
    log: str,
    folder: Path,
    *,
    runs_dir: Path,
) -> Manifest:
    """Return the manifest of this push; if its session trained no member, record and raise that."""
    push, (result, lines) = status.push, _parse_log(log)
    is_ours = result.get("push_id") in (None, push.push_id)
    reason = status.failure or f"its session is {status.state}"
    if result.get("push_id") == push.push_id and result.get("state") == entry_point.FAILED:
        reason = str(result.get("reason", "")) or status.failure
    elif url := files.get(entry_point.MANIFEST):
        path = client.download(entry_point.MANIFEST, url, folder, max_size=MAX_MANIFEST_BYTES)
        try:
            manifest = read_manifest(path.read_bytes())
        finally:
            path.unlink()
        is_ours = (manifest.push_id, manifest.run) == (push.push_id, push.run)
        if is_ours and manifest.archive is not None:
            return manifest
        if is_ours:
            reason, lines = manifest.reason or status.failure, list(manifest.log_tail)
    elif status.state == "complete" and not status.failure:
        reason = "it left no output of kd; is it another notebook of that name?"
    # Of a failed session Kaggle may keep nothing, and show the output of an earlier version.
    failed = status.state != "complete" and push.version is not None
    if is_ours or (failed and client.version(push.ref) == push.version):
        reason = one_line(reason) or "no reason given"
        push_record.write(runs_dir, replace(push, state=push_record.FAILED, reason=reason))
        tail = " | ".join(map(one_line, lines[-ERROR_LINES:]))
        last_lines = f"; its last lines: {tail}" if tail else ""
        raise KaggleError(f"the notebook {push.ref} failed: {reason}{last_lines}; see {push.url}")
    raise _earlier_version_error(push)


def _parse_log(log: str) -> tuple[dict[str, Any], list[str]]:
    """Return the result that entry_point logged, or {}, and the other lines of the log.

    Kaggle's log is a JSON list of {stream_name, time, data}, sometimes truncated.
    """
    try:
        text = "".join(str(entry["data"]) for entry in json.loads(log))
    except (ValueError, KeyError, TypeError):
        text = log
    result: dict[str, Any] = {}
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith(entry_point.LOG_PREFIX):
            lines.append(line)
            continue
        with suppress(ValueError):
            parsed = json.loads(line.removeprefix(entry_point.LOG_PREFIX))
            result = parsed if isinstance(parsed, dict) else result
    return result, lines


def read_manifest(content: str | bytes) -> Manifest:
    """Parse a manifest; KaggleError if a key is missing or has the wrong type."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "not JSON"
        raise KaggleError(
            f"the notebook's manifest is damaged ({key!a}); run it again: kd remote pull; if that "
            "does not help, push it again"
        ) from error


def _load_same_data(manifest: Manifest, data_dir: Path) -> tuple[Dataset | None, str]:
    """Return the data in ``data_dir`` if the run was trained on them; else None and the reason."""
    try:
        dataset = load(data_dir)
    except DataError as error:
        return None, str(error)
    here = {"train.csv": dataset.train.sha256, "test.csv": dataset.test.sha256}
    if not here.items() <= manifest.data.items():
        return None, (
            f"it was trained on other data than those in {data_dir}; give kd predict "
            f"{manifest.run} their folder with --data-dir"
        )
    return dataset, ""


def _install(
    push: PushRecord, manifest: Manifest, archive: Path, runs_dir: Path, dataset: Dataset | None
) -> Run:
    """Unpack and validate the run beside its archive, then rename it into ``runs_dir``."""
    with tempfile.TemporaryDirectory(dir=archive.parent, ignore_cleanup_errors=True) as staging:
        run = Run(Path(staging) / push.run)
        try:
            unpack(archive, manifest, run.path)
            verify(run, manifest, dataset)
        except KaggleError:
            archive.unlink(missing_ok=True)  # the next pull downloads it again
            raise
        config = run.config()
        if dataset is not None:
            config["data"]["source"] = dataset.source.source  # on Kaggle it was not known
        recorded = {key: getattr(push, key) for key in ("ref", "version", "push_id", "accelerator")}
        config["remote"] = {**recorded, **manifest.environment}
        run.write_config(config)
        with create_run(runs_dir, push.run, "") as installed, wrap_os_errors(installed.path):
            # create_run holds the name while its empty folder is replaced.
            installed.path.rename(Path(staging) / ".empty")
            run.path.rename(installed.path)
    return installed


@contextmanager
def _invalid_output_errors() -> Iterator[None]:
    """Raise KaggleError for an error that damaged or contradictory output causes."""
    try:
        yield
    except (ArchiveError, OSError, ValueError, KeyError, TypeError, RunError) as error:
        reason = repr(error)
        if isinstance(error, ArchiveError):
            reason = f"{entry_point.ARCHIVE} {error}"
        elif isinstance(error, ValueError | RunError):
            reason = str(error).split(";", 1)[0]
        raise KaggleError(
            f"the notebook's output is not valid: {reason}; nothing of it was kept: try kd remote "
            "pull once more, else push again"
        ) from error


@_invalid_output_errors()
def unpack(archive: Path, manifest: Manifest, folder: Path) -> None:
    """Extract the archive into ``folder`` and check each file with the manifest.

    KaggleError: the archive or a file in it is damaged, has another size or SHA-256, or its path is
    not one of a run folder. StorageError: the folder cannot be written.
    """
    if manifest.archive != FileInfo(**entry_point.file_info(archive)):
        raise ValueError(f"{archive.name} is not the one that was packed")
    total = sum(info.bytes for info in manifest.files.values())
    if len(manifest.files) > MAX_FILES or total > MAX_BYTES:
        raise ValueError("it has more in it than a run has")
    with open_zip(archive) as zipped:
        members = zipped.infolist()
        if sorted(member.filename for member in members) != sorted(manifest.files):
            raise ValueError("its files are not those of the manifest")
        for member in members:
            name, expected = member.filename, manifest.files[member.filename]
            parts = name.split("/")
            if len(parts) > MAX_DEPTH or not all(map(PATH_PART.fullmatch, parts)):
                raise ValueError(f"{name!a} is no file of a run")
            path = folder.joinpath(*parts)
            extract(zipped, member, path, max_size=expected.bytes)
            if expected != FileInfo(**entry_point.file_info(path)):
                raise ValueError(f"{name} is not the one that was packed")


@_invalid_output_errors()
def verify(run: Run, manifest: Manifest, dataset: Dataset | None = None) -> None:
    """Raise KaggleError if a file of the run is missing, damaged or contradicts the manifest.

    With the ``dataset`` of the training, also if the predictions are not those of the rows that
    they should belong to.
    """
    if manifest.state not in (entry_point.FINISHED, entry_point.PARTIAL):
        raise ValueError(f"its state is {manifest.state!r}")
    config = run.config()
    members, data = config["members"], config["data"]
    if config["name"] != manifest.run or members != manifest.members:
        raise ValueError(f"config.json is of another run: {config['name']!r}")
    for name in ("train", "test"):
        if data[f"{name}_sha256"] != manifest.data[f"{name}.csv"]:
            raise ValueError("config.json names other data than the manifest")
    if data["n_train"] is None or data["n_test"] is None:
        raise ValueError("config.json does not count the rows of its data")
    folds: list[FoldIndices] = []
    if dataset is not None:
        with suppress(RunError):  # Kaggle's scikit-learn may split differently
            folds = run.folds(dataset)
    done = [folder for folder in run.member_folders() if is_complete(folder)]
    if len(done) != manifest.members_done or not done:
        raise ValueError(f"{len(done)} of {manifest.members_done} finished members are there")
    for folder in done:
        load_result(run, folder, folds[int(folder.name) % len(folds)] if folds else None)
        if not any(path.stat().st_size for path in folder.glob("model.*")):
            raise ValueError(f"member {folder.name} has no model")
    if manifest.state == entry_point.PARTIAL:
        return
    if len(done) != members:
        raise ValueError(f"{len(done)} of {members} members are there")
    run.oof(None if dataset is None else dataset.labels)
    run.test()
    if len(run.read_history()) < members:
        raise ValueError("history.csv lacks members")
