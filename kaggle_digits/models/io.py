"""scikit-learn's models as bytes: in skops' format, which holds no code, or as a signed pickle.

skops (skops.readthedocs.io) writes an estimator as JSON and arrays, and reads back only types that
it knows to be harmless. Its own list is held to here, with two plain classes more. Whatever is not
on it, such as a forest or a class of the user's own, is pickled and signed, and is read only where
it was made, or where the user says --trust.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

from kaggle_digits.core import signing
from kaggle_digits.core.errors import ModelError

SKOPS_FILE, JOBLIB_FILE = "model.skops", "model.joblib"
# Beside a pickle: by what it is known to be made here.
SIGNATURE_FILE = "model.joblib.signature"
# What MLPClassifier is fitted by: numbers and arrays.
OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
HARMLESS = [f"{OPTIMIZERS}.AdamOptimizer", f"{OPTIMIZERS}.SGDOptimizer"]
MOST_BYTES, MOST_FILES = 1 << 30, 100_000
PICKLED = b"pickled by kd, signed "


class UntrustedError(ModelError):
    """A pickle that was not made here."""


def dumps(value: dict[str, Any]) -> tuple[str, bytes]:
    """The name of the file that keeps ``value``, and its bytes."""
    content = _skops(value)
    return (SKOPS_FILE, content) if content is not None else (JOBLIB_FILE, _pickle(value))


def loads_skops(content: bytes) -> Any:
    """What packed() was given.

    Raises:
        Exception: it is damaged, or would make objects of unknown types.
    """
    from skops.io import loads

    _refuse_bomb(content)
    return loads(content, trusted=HARMLESS)


def loads_pickle(content: bytes, signature: object, name: str) -> Any:
    """What packed() was given, if that was here.

    Args:
        content: the pickle.
        signature: kept beside it, or None.
        name: what messages call it.

    Raises:
        Untrusted: it was not made here, and the user did not say --trust.
        Exception: it is damaged.
    """
    if not signing.trusting() and not signing.made_here(content, signature):
        raise UntrustedError(
            f"{name} is a pickle, which runs code as it is read, and it was not made here; "
            f"{signing.HOW_TO}"
        )
    import joblib

    if content[:1] == b"x":  # joblib itself fills the memory where bytes follow what is packed
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(content, MOST_BYTES)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("it is damaged")
    return joblib.load(io.BytesIO(content))


def dumps_state(value: Any) -> bytes:
    """Both kinds in one, signature included: for a checkpoint."""
    # Kept after many an epoch, and not for long: not worth the time that packing tightly takes.
    content = _skops({"state": value}, zipfile.ZIP_STORED)
    if content is not None:
        return content
    content = _pickle({"state": value}, compress=0)
    return PICKLED + signing.sign(content).encode() + b"\n" + content


def loads_state(content: bytes) -> Any:
    """What state() was given.

    Raises:
        Untrusted, Exception: as for read_pickle and read_skops.
    """
    if not content.startswith(PICKLED):
        return loads_skops(content)["state"]
    signature, _, rest = content.removeprefix(PICKLED).partition(b"\n")
    return loads_pickle(rest, signature.decode("ascii", "replace"), "the checkpoint")["state"]


def _skops(value: dict[str, Any], way: int = zipfile.ZIP_DEFLATED) -> bytes | None:
    """In skops' format; None where that cannot hold it, or would not be read again."""
    try:
        from skops.io import dumps, get_untrusted_types

        content = bytes(dumps(value, compression=way, compresslevel=1))
        return content if set(get_untrusted_types(data=content)) <= set(HARMLESS) else None
    except Exception:
        # Not installed (on Kaggle), or an object of a kind that it cannot write: each says so in
        # a way of its own, and the pickle is there for them all.
        return None


def _pickle(value: dict[str, Any], compress: int = 1) -> bytes:
    import joblib

    out = io.BytesIO()
    joblib.dump(value, out, compress=compress)
    return out.getvalue()


def _refuse_bomb(content: bytes) -> None:
    """Refuse what would fill the memory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise ValueError("it unpacks to more than a model has")


WEIGHTS = "model.weights.h5"
OWN_FILES = {"metadata.json", "config.json", WEIGHTS}
MOST_BYTES = 2 << 30


def check_keras_file(path: Path) -> None:
    """Look into a model.keras.

    Raises:
        ValueError: it holds other files, unpacks to too much, or its weights lead elsewhere.
        Exception: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        if names - OWN_FILES or len(entries) != len(names):
            raise ValueError("it holds more than a model")
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ValueError("it unpacks to more than a model has")
        weights = archive.read(WEIGHTS)
    import h5py

    with h5py.File(io.BytesIO(weights), "r") as file:
        _check_group(file, h5py)


def _check_group(group: Any, h5py: Any) -> None:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError("its weights lead elsewhere")  # noqa: TRY004
        found = group[name]
        if isinstance(found, h5py.Group):
            _check_group(found, h5py)
        elif found.external or found.is_virtual:
            raise ValueError("its weights lead elsewhere")
