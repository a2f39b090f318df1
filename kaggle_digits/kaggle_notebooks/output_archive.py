"""The output of a notebook: check its manifest, unpack its archive, validate the run in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.atomic_io import sha256
from kaggle_digits.core.errors import DigitsError, KaggleError, RunError
from kaggle_digits.core.zip_extract import ArchiveError, extract, open_zip
from kaggle_digits.kaggle_notebooks.entry_point import FINISHED, PARTIAL
from kaggle_digits.runs.run import OOF_FILE, TEST_FILE, Probabilities, Run, read_probabilities
from kaggle_digits.training.member_store import RECORD_FILE, VALIDATION_FILE, is_complete

# Part of a path in a run folder: not hidden, no .., no drive, valid on every file system.
PATH_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_DEPTH, MAX_FILES = 4, 10_000
MAX_BYTES = 4 << 30  # of a run; that of the largest recipe has less than a tenth


@dataclass(frozen=True)
class FileInfo:
    """Size and SHA-256 of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The result of a session, written by entry_point.

    Attributes:
        push_id: identifies the push.
        run: name of the run.
        state: finished, partial (some members are finished) or failed.
        reason: why it is not finished.
        log_tail: last lines of ``kd train``.
        files: path in the run → size and SHA-256.
        archive: size and SHA-256 of the zip; None if there is none.
        data: file name → SHA-256 of the data of the training.
        members, members_done: number of members and of finished ones.
        toolkit: version of this package on Kaggle.
        gpus: names of the GPUs.
        seconds: duration of the session.
        versions: package → version.
    """

    push_id: str
    run: str
    state: str
    reason: str
    log_tail: tuple[str, ...]
    files: dict[str, FileInfo]
    archive: FileInfo | None
    data: dict[str, str]
    members: int | None
    members_done: int
    toolkit: str
    gpus: list[str]
    seconds: float
    versions: dict[str, str]

    @property
    def environment(self) -> dict[str, Any]:
        """The part that config.json keeps."""
        return {key: getattr(self, key) for key in ("toolkit", "gpus", "seconds", "versions")}


def read_manifest(content: str | bytes) -> Manifest:
    """Parse a manifest.

    Raises:
        KaggleError: a key is missing or has the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "not JSON"
        raise KaggleError(
            f"the notebook's manifest is damaged ({key!a}); run it again: kd remote pull; if that "
            "does not help, push it again"
        ) from error


def unpack(archive: Path, manifest: Manifest, folder: Path) -> None:
    """Extract the archive into ``folder`` and check each file with the manifest.

    Raises:
        KaggleError: the archive or a file in it is damaged, has another size or SHA-256, or its
            path is not one of a run folder.
        StorageError: the folder cannot be written.
    """
    if manifest.archive != FileInfo(archive.stat().st_size, sha256(archive)):
        raise _invalid(f"{archive.name} is not the one that was packed")
    total = sum(info.bytes for info in manifest.files.values())
    if len(manifest.files) > MAX_FILES or total > MAX_BYTES:
        raise _invalid("it has more in it than a run has")
    try:
        with open_zip(archive) as zipped:
            members = zipped.infolist()
            if sorted(member.filename for member in members) != sorted(manifest.files):
                raise _invalid("its files are not those of the manifest")
            for member in members:
                name, expected = member.filename, manifest.files[member.filename]
                parts = name.split("/")
                if len(parts) > MAX_DEPTH or not all(map(PATH_PART.fullmatch, parts)):
                    raise _invalid(f"{name!a} is no file of a run")
                path = folder.joinpath(*parts)
                extract(zipped, member, path, max_size=expected.bytes)
                if expected != FileInfo(path.stat().st_size, sha256(path)):
                    raise _invalid(f"{name} is not the one that was packed")
    except ArchiveError as error:
        raise _invalid(f"{archive.name} {error}") from error


def verify(run: Run, manifest: Manifest) -> None:
    """Check that every command can work with an unpacked run folder.

    Raises:
        KaggleError: a file is missing, damaged or contradicts the manifest.
    """
    try:
        _verify(run, manifest)
    except (OSError, ValueError, EOFError, KeyError, TypeError, RunError) as error:
        is_message = isinstance(error, DigitsError | ValueError)
        raise _invalid(str(error).split(";", 1)[0] if is_message else repr(error)) from error


def _verify(run: Run, manifest: Manifest) -> None:
    if manifest.state not in (FINISHED, PARTIAL):
        raise ValueError(f"its state is {manifest.state!r}")
    config = run.config()
    members, data = int(config["members"]), config["data"]
    n_train, n_test = int(data["n_train"]), int(data["n_test"])
    if config["name"] != manifest.run or members != manifest.members:
        raise ValueError(f"config.json is of another run: {config['name']!r}")
    for name in ("train", "test"):
        if data[f"{name}_sha256"] != manifest.data[f"{name}.csv"]:
            raise ValueError("config.json names other data than the manifest")
    done = [folder for folder in run.member_folders() if is_complete(folder)]
    if len(done) != manifest.members_done or not done:
        raise ValueError(f"{len(done)} of {manifest.members_done} finished members are there")
    for folder in done:
        json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))["history"]
        _read_probabilities(folder / TEST_FILE, n_test)
        _read_probabilities(folder / VALIDATION_FILE, None)
        if not any(path.stat().st_size for path in folder.glob("model.*")):
            raise ValueError(f"member {folder.name} has no model")
    if manifest.state == PARTIAL:
        return
    if len(done) != members:
        raise ValueError(f"{len(done)} of {members} members are there")
    oof = _read_probabilities(run.path / OOF_FILE, n_train, allow_nan=True)
    _read_probabilities(run.path / TEST_FILE, n_test)
    if int(run.metrics()["n_val"]) != int((~np.isnan(oof).any(axis=1)).sum()):
        raise ValueError("metrics.json counts other rows than oof.npy has")
    if len(run.history()) < members:
        raise ValueError("history.csv lacks members")


def _read_probabilities(path: Path, rows: int | None, *, allow_nan: bool = False) -> Probabilities:
    """Read probabilities and check their number of rows and that each row sums to 1.

    Raises:
        ValueError: the file is missing or damaged, or the check fails.
    """
    try:
        values = read_probabilities(path)
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except (OSError, ValueError, EOFError):
        raise ValueError(f"{path.name} is damaged") from None
    if rows is not None and len(values) != rows:
        raise ValueError(f"{path.name} has {len(values)} rows instead of {rows}")
    sums = values.sum(axis=1)
    if allow_nan:
        sums = sums[~np.isnan(values).any(axis=1)]
    if not np.allclose(sums, 1, atol=1e-2):
        raise ValueError(f"{path.name} holds no probabilities")
    return values


def _invalid(reason: str) -> KaggleError:
    return KaggleError(
        f"the notebook's output is not valid: {reason}; nothing of it was kept: try kd remote "
        "pull once more, else push again"
    )
