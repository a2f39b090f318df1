"""Whether a file is nothing but a Keras model, before Keras is given it.

Keras' safe mode keeps the code in a file from running. This keeps the rest out: files beside the
model's own, which Keras would unpack, and weights that lead to other files on this machine.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

WEIGHTS = "model.weights.h5"
OWN_FILES = {"metadata.json", "config.json", WEIGHTS}
MOST_BYTES = 2 << 30


def check_network_file(path: Path) -> None:
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
