"""What came back from Kaggle: believed only after each file and figure was looked at."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.atomic_io import sha256, wrap_os_errors
from kaggle_digits.core.errors import DigitsError, KaggleError, RunError
from kaggle_digits.kaggle_notebooks.entry_point import FINISHED, PARTIAL
from kaggle_digits.runs.run import OOF_FILE, TEST_FILE, Probabilities, Run, read_probabilities
from kaggle_digits.training.member_store import RECORD_FILE, VALIDATION_FILE, is_complete

# Of a path: nothing hidden, no .., no drive, no name that a disk refuses.
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DEEPEST, MOST_FILES = 4, 10_000
MOST_BYTES = 4 << 30  # of a run; the largest recipe's has less than a tenth
CHUNK = 1 << 20
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(struct.error, ValueError, IndexError, OverflowError),  # of zipfile, on invented headers
)


@dataclass(frozen=True)
class Manifest:
    """What the script says of its end.

    Attributes:
        push_id: of the push it answers.
        run: name of the run.
        state: finished, partial (some members are) or failed.
        reason: why it is not finished.
        log_tail: the last lines of the training.
        files: path in the run → bytes and sha256.
        archive: bytes and sha256 of the zip; None where nothing was packed.
        data: file → sha256 of what was trained on.
        members, members_done: how many there are and how many are finished.
        about: GPUs, seconds, versions, for config.json.
    """

    push_id: str
    run: str
    state: str
    reason: str
    log_tail: tuple[str, ...]
    files: dict[str, tuple[int, str]]
    archive: tuple[int, str] | None
    data: dict[str, str]
    members: int | None
    members_done: int
    about: dict[str, Any]


def read_manifest(text: str) -> Manifest:
    """The manifest in ``text``.

    Raises:
        KaggleError: it is not in its form.
    """
    try:
        content = json.loads(text)
        archive = content["archive"]
        members = content["members"]
        return Manifest(
            push_id=str(content["push_id"]),
            run=str(content["run"]),
            state=str(content["state"]),
            reason=str(content["reason"]),
            log_tail=tuple(map(str, content["log_tail"])),
            files={
                str(name): (int(one["bytes"]), str(one["sha256"]))
                for name, one in content["files"].items()
            },
            archive=archive and (int(archive["bytes"]), str(archive["sha256"])),
            data={str(name): str(digest) for name, digest in content["data"].items()},
            members=None if members is None else int(members),
            members_done=int(content["members_done"]),
            about={key: content[key] for key in ("toolkit", "gpus", "seconds", "versions")},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KaggleError(
            f"the notebook's manifest is damaged ({type(error).__name__}); run it again: kd remote "
            "pull; where it stays so, push it again"
        ) from error


def unpack(archive: Path, manifest: Manifest, folder: Path) -> None:
    """Write the archive's files below ``folder``, which must be empty, each as the manifest says.

    Raises:
        KaggleError: the archive or a file in it is not the one that was packed, or would be
            written elsewhere.
        StorageError: the disk refuses.
    """
    if manifest.archive != (archive.stat().st_size, sha256(archive)):
        raise _wrong(f"{archive.name} is not the one that was packed")
    if len(manifest.files) > MOST_FILES or sum(n for n, _ in manifest.files.values()) > MOST_BYTES:
        raise _wrong("it has more in it than a run has")
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            if sorted(entry.filename for entry in entries) != sorted(manifest.files):
                raise _wrong("its files are not those of the manifest")
            for entry in entries:
                _extract(zipped, entry, manifest, folder)
    except DAMAGE as error:
        raise _wrong(f"{archive.name} is damaged") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # A header that points before the file's beginning.
        raise _wrong(f"{archive.name} is damaged") from error


def _extract(
    zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, manifest: Manifest, folder: Path
) -> None:
    name = entry.filename
    parts = name.split("/")
    mode = entry.external_attr >> 16
    plain = not mode or stat.S_ISREG(mode) or not stat.S_IFMT(mode)
    sound = plain and len(parts) <= DEEPEST and all(PART.fullmatch(part) for part in parts)
    if not sound:
        raise _wrong(f"{name!r} is no file of a run")
    size, digest = manifest.files[name]
    path = folder.joinpath(*parts)
    with wrap_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        hashed, written = hashlib.sha256(), 0
        with zipped.open(entry) as source, path.open("wb") as out:
            while piece := source.read(CHUNK):
                written += len(piece)
                if written > size:
                    raise _wrong(f"{name} is longer than the manifest says")
                hashed.update(piece)
                out.write(piece)
    if (written, hashed.hexdigest()) != (size, digest):
        raise _wrong(f"{name} is not the one that was packed")


def verify(run: Run, manifest: Manifest) -> None:
    """See that a run folder is one that every command can work on.

    Raises:
        KaggleError: a file is missing, unreadable or of another shape.
    """
    if manifest.state not in (FINISHED, PARTIAL):
        raise _wrong(f"its state is {manifest.state!r}")
    try:
        _verify(run, manifest)
    except (OSError, ValueError, EOFError, KeyError, TypeError, RunError) as error:
        told = isinstance(error, DigitsError | ValueError)
        reason = str(error).split(";", 1)[0] if told else repr(error)
        raise _wrong(reason) from error


def _verify(run: Run, manifest: Manifest) -> None:
    config = run.config()
    members, data = int(config["members"]), config["data"]
    n_train, n_test = int(data["n_train"]), int(data["n_test"])
    if config["name"] != manifest.run or members != manifest.members:
        raise ValueError(f"config.json is of another run: {config['name']!r}")
    if {"train_sha256": data["train_sha256"], "test_sha256": data["test_sha256"]} != {
        "train_sha256": manifest.data["train.csv"],
        "test_sha256": manifest.data["test.csv"],
    }:
        raise ValueError("config.json names other data than the manifest")
    done = [folder for folder in run.member_folders() if is_complete(folder)]
    if len(done) != manifest.members_done or not done:
        raise ValueError(f"{len(done)} of {manifest.members_done} finished members are there")
    for folder in done:
        json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))["history"]
        _check(folder / TEST_FILE, n_test)
        _check(folder / VALIDATION_FILE, None)
        if not any(path.stat().st_size for path in folder.glob("model.*")):
            raise ValueError(f"member {folder.name} has no model")
    if manifest.state == PARTIAL:
        return
    if len(done) != members:
        raise ValueError(f"{len(done)} of {members} members are there")
    metrics = run.metrics()
    oof = _check(run.path / OOF_FILE, n_train, held_out=True)
    _check(run.path / TEST_FILE, n_test)
    if int(metrics["n_val"]) != int((~np.isnan(oof).any(axis=1)).sum()):
        raise ValueError("metrics.json counts other rows than oof.npy has")
    if len(run.history()) < members:
        raise ValueError("history.csv lacks members")


def _check(path: Path, rows: int | None, *, held_out: bool = False) -> Probabilities:
    """Probabilities of ``rows`` rows; with ``held_out`` those that nobody predicted are NaN.

    Raises:
        ValueError: they are not there, or not in their form.
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
    known = sums[~np.isnan(values).any(axis=1)] if held_out else sums
    if not np.allclose(known, 1, atol=1e-2):
        raise ValueError(f"{path.name} holds no probabilities")
    return values


def _wrong(what: str) -> KaggleError:
    return KaggleError(
        f"what came back from Kaggle is not sound: {what}; nothing was kept of it: try kd remote "
        "pull once more, else push again"
    )
