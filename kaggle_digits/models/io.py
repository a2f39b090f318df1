"""Read and write model files without running code that they may hold.

- scikit-learn models: skops' format (skops.readthedocs.io), JSON and arrays, from which only types
  known to be harmless are created: skops' own list and two plain classes more.
- Other estimators, such as forests: a pickle, which runs code while it is read; only with --trust.
- Keras models: Keras' safe mode does not run code in a file; ``check_keras_file`` also refuses
  additional files, which Keras would unpack, weights that link to other files, and without --trust
  Lambda layers and classes or functions of the user's own.
"""

import hashlib
import importlib
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.core import trust
from kaggle_digits.core.errors import ModelError
from kaggle_digits.models.backend import importing_keras

SKOPS_FILE, JOBLIB_FILE = "model.skops", "model.joblib"
# The optimizers that a fitted MLPClassifier holds: numbers and arrays.
OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
HARMLESS_TYPES = [f"{OPTIMIZERS}.AdamOptimizer", f"{OPTIMIZERS}.SGDOptimizer"]
MAX_SKOPS_BYTES, MAX_SKOPS_FILES = 1 << 30, 100_000
PICKLE_PREFIX = b"pickled by kd"

KERAS_CONFIG, KERAS_WEIGHTS = "config.json", "model.weights.h5"
KERAS_FILES = {"metadata.json", KERAS_CONFIG, KERAS_WEIGHTS}
MAX_KERAS_BYTES = 2 << 30

# SHA-256 of the pickles that this process made, which it may read without --trust.
_own_pickles: set[bytes] = set()


class UntrustedError(ModelError):
    """Reading the file would run code, and the user did not type --trust."""


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

    Raises UntrustedError without --trust unless this process wrote the pickle, and any exception if
    the file is damaged.
    """
    if hashlib.sha256(content).digest() not in _own_pickles and not trust.is_enabled():
        raise UntrustedError(f"{name} is a pickle, which runs code while it is read; {trust.HINT}")
    add_current_folder_to_path()
    import joblib

    if content[:1] == b"x":  # zlib: joblib would fill the memory if bytes follow the stream
        decompressor = zlib.decompressobj()
        content = decompressor.decompress(content, MAX_SKOPS_BYTES)
        if not decompressor.eof or decompressor.unused_data:
            raise ValueError("it is damaged")
    with importing_keras():  # a module of the user's
        return joblib.load(io.BytesIO(content))


def dumps_state(estimator: Any) -> bytes:
    """Return a fitted estimator as bytes, for a checkpoint or to go back to the best epoch."""
    # Stored without compression: it is written often and soon replaced.
    if (content := _dumps_skops({"state": estimator}, zipfile.ZIP_STORED)) is not None:
        return content
    return PICKLE_PREFIX + b"\n" + _pickle({"state": estimator}, compress=0)


def loads_state(content: bytes) -> Any:
    """Return the estimator that ``dumps_state`` got; a pickle only if this process made it.

    Raises UntrustedError for a pickle of another process without --trust, and any exception if
    it is damaged.
    """
    if not content.startswith(PICKLE_PREFIX):
        return loads_skops(content)["state"]
    return loads_pickle(content.partition(b"\n")[2], "the checkpoint")["state"]


def check_keras_file(path: Path) -> dict[str, Any]:
    """Check that a model.keras holds a model and nothing else.

    Returns the classes and functions that it needs besides Keras' own, by name, and imports their
    modules for that, which --trust allows. "Lambda" is a layer whose code is in the file.

    Raises UntrustedError if it needs any without --trust, ValueError for other files, too large
    ones and weights that link to other files, and any exception if it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        if names - KERAS_FILES or len(entries) != len(names):
            raise ValueError("it holds more than a model")
        if sum(entry.file_size for entry in entries) > MAX_KERAS_BYTES:
            raise ValueError("it unpacks to more than a model has")
        weights = archive.read(KERAS_WEIGHTS)
        code = dict(keras_code(json.loads(archive.read(KERAS_CONFIG))))
    import h5py

    with h5py.File(io.BytesIO(weights), "r") as file:
        _check_hdf5_group(file, h5py)
    if not code:
        return {}
    if not trust.is_enabled():
        raise UntrustedError(
            f"{path} needs {' and '.join(code)}, which runs code while it is read; {trust.HINT}"
        )
    add_current_folder_to_path()
    with importing_keras():
        return {
            name: getattr(importlib.import_module(module), name, None) if module else None
            for name, module in code.items()
        }


def keras_code(config: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and module of every class and function in a Keras config that runs code.

    These are Lambda layers, with the module "", and everything that is not of Keras itself.
    """
    if isinstance(config, dict):
        module, name = config.get("module", "keras"), config.get("class_name")
        if name in ("Lambda", "__lambda__"):
            yield "Lambda", ""
        elif name == "function":
            yield str(config.get("config")), ""
        elif name and str(module).partition(".")[0] != "keras":
            yield str(name), str(module or "")
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, dict | list):
            yield from keras_code(value)


def add_current_folder_to_path() -> None:
    """Let Python import modules from the current folder, as ``python -m`` does."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)


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
    _own_pickles.add(hashlib.sha256(file.getvalue()).digest())
    return file.getvalue()
