"""The folders that are used unless others are given: those of the command line."""

import os
from pathlib import Path


def default_folder(kind: str) -> Path:
    """Return the folder of ``data``, ``runs`` or ``submissions``: KD_<KIND>_DIR, or ./<kind>."""
    return Path(os.environ.get(f"KD_{kind.upper()}_DIR") or kind)
