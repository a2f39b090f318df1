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


class Untrusted(ModelError):  # noqa: N818 (a state, as the other kinds are)
    """A pickle that was not made here."""


def packed(value: dict[str, Any]) -> tuple[str, bytes]:
    """The name of the file that keeps ``value``, and its bytes."""
    content = _skops(value)
    return (SKOPS_FILE, content) if content is not None else (JOBLIB_FILE, _pickle(value))


def read_skops(content: bytes) -> Any:
    """What packed() was given.

    Raises:
        Exception: it is damaged, or would make objects of unknown types.
    """
    from skops.io import loads

    _refuse_bomb(content)
    return loads(content, trusted=HARMLESS)


def read_pickle(content: bytes, signature: object, name: str) -> Any:
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
        raise Untrusted(
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


def state(value: Any) -> bytes:
    """Both kinds in one, signature included: for a checkpoint."""
    # Kept after many an epoch, and not for long: not worth the time that packing tightly takes.
    content = _skops({"state": value}, zipfile.ZIP_STORED)
    if content is not None:
        return content
    content = _pickle({"state": value}, compress=0)
    return PICKLED + signing.sign(content).encode() + b"\n" + content


def read_state(content: bytes) -> Any:
    """What state() was given.

    Raises:
        Untrusted, Exception: as for read_pickle and read_skops.
    """
    if not content.startswith(PICKLED):
        return read_skops(content)["state"]
    signature, _, rest = content.removeprefix(PICKLED).partition(b"\n")
    return read_pickle(rest, signature.decode("ascii", "replace"), "the checkpoint")["state"]


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
