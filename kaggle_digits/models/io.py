"""Read and write model files without running code that they may hold.

- scikit-learn models: skops' format (skops.readthedocs.io), JSON and arrays, from which only types
  known to be harmless are created: skops' own list and two plain classes more.
- Other estimators, such as forests: a pickle, which runs code while it is read; only with --trust.
- Keras models: Keras' safe mode does not run code in a file; ``check_keras_file`` also refuses
  additional files, which Keras would unpack, and weights that link to other files.
"""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

from kaggle_digits.core import trust
from kaggle_digits.core.errors import ModelError

SKOPS_FILE, JOBLIB_FILE = "model.skops", "model.joblib"
# The optimizers that a fitted MLPClassifier holds: numbers and arrays.
OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
HARMLESS_TYPES = [f"{OPTIMIZERS}.AdamOptimizer", f"{OPTIMIZERS}.SGDOptimizer"]
MAX_SKOPS_BYTES, MAX_SKOPS_FILES = 1 << 30, 100_000
PICKLE_PREFIX = b"pickled by kd"

KERAS_WEIGHTS = "model.weights.h5"
KERAS_FILES = {"metadata.json", "config.json", KERAS_WEIGHTS}
MAX_KERAS_BYTES = 2 << 30

# SHA-256 of the pickles that this process made in ``dumps_state``.
_own_pickles: set[bytes] = set()


class UntrustedError(ModelError):
    """The file is a pickle, and the user did not type --trust."""


def dumps(model: dict[str, Any]) -> tuple[str, bytes]:
    """Return the name and the bytes of a model file that holds ``model``."""
    content = _dumps_skops(model)
    return (SKOPS_FILE, content) if content is not None else (JOBLIB_FILE, _pickle(model))


def loads_skops(content: bytes) -> Any:
    """Return the object in a skops file; any exception if it is damaged, too large or unsafe."""
    from skops.io import loads

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_SKOPS_FILES or size > MAX_SKOPS_BYTES:
        raise ValueError("it unpacks to more than a model has")
    return loads(content, trusted=HARMLESS_TYPES)


def loads_pickle(content: bytes, name: str) -> Any:
    """Return the object in the pickle called ``name``; this can run any code.

    Raises UntrustedError without --trust, and any exception if the file is damaged.
    """
    if not trust.is_enabled():
        raise UntrustedError(f"{name} is a pickle, which runs code while it is read; {trust.HINT}")
    return _unpickle(content)


def dumps_state(estimator: Any) -> bytes:
    """Return a fitted estimator as bytes, for a checkpoint or to go back to the best epoch."""
    # Stored without compression: it is written often and soon replaced.
    if (content := _dumps_skops({"state": estimator}, zipfile.ZIP_STORED)) is not None:
        return content
    content = _pickle({"state": estimator}, compress=0)
    _own_pickles.add(hashlib.sha256(content).digest())
    return PICKLE_PREFIX + b"\n" + content


def loads_state(content: bytes) -> Any:
    """Return the estimator that ``dumps_state`` got; a pickle only if this process made it.

    Raises UntrustedError for a pickle of another process without --trust, and any exception if
    it is damaged.
    """
    if not content.startswith(PICKLE_PREFIX):
        return loads_skops(content)["state"]
    pickle = content.partition(b"\n")[2]
    if hashlib.sha256(pickle).digest() in _own_pickles:
        return _unpickle(pickle)["state"]
    return loads_pickle(pickle, "the checkpoint")["state"]


def check_keras_file(path: Path) -> None:
    """Check that a model.keras holds a model and nothing else.

    Raises ValueError for other files, too large ones and weights that link to other files, and any
    exception if it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        if names - KERAS_FILES or len(entries) != len(names):
            raise ValueError("it holds more than a model")
        if sum(entry.file_size for entry in entries) > MAX_KERAS_BYTES:
            raise ValueError("it unpacks to more than a model has")
        weights = archive.read(KERAS_WEIGHTS)
    import h5py

    with h5py.File(io.BytesIO(weights), "r") as file:
        _check_hdf5_group(file, h5py)


def _check_hdf5_group(group: Any, h5py: Any) -> None:
    for name in group:
        is_link = not isinstance(group.get(name, getlink=True), h5py.HardLink)
        if not is_link and isinstance(group[name], h5py.Group):
            _check_hdf5_group(group[name], h5py)
        elif is_link or group[name].external or group[name].is_virtual:
            raise ValueError("its weights link to another file")


def _dumps_skops(value: dict[str, Any], compression: int = zipfile.ZIP_DEFLATED) -> bytes | None:
    """Return ``value`` in skops' format, or None if it could not be read back as harmless."""
    try:
        from skops.io import dumps, get_untrusted_types

        content = bytes(dumps(value, compression=compression, compresslevel=1))
        return content if set(get_untrusted_types(data=content)) <= set(HARMLESS_TYPES) else None
    except Exception:  # skops is missing (on Kaggle), or cannot write this type
        return None


def _pickle(value: dict[str, Any], compress: int = 1) -> bytes:
    import joblib

    file = io.BytesIO()
    joblib.dump(value, file, compress=compress)
    return file.getvalue()


def _unpickle(content: bytes) -> Any:
    import joblib

    if content[:1] == b"x":  # zlib: joblib would fill the memory if bytes follow the stream
        decompressor = zlib.decompressobj()
        content = decompressor.decompress(content, MAX_SKOPS_BYTES)
        if not decompressor.eof or decompressor.unused_data:
            raise ValueError("it is damaged")
    return joblib.load(io.BytesIO(content))
