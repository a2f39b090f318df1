"""Find out where the toolkit runs: in a notebook of Kaggle or Colab, or elsewhere.

A Kaggle notebook finds the competition's files in a read-only folder, and keeps only what is below
its working folder. Colab has no such folders, but a list of secrets.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

KAGGLE_FOLDER = Path("/kaggle")  # of a Kaggle notebook
MAX_DEPTH = 4  # below its input folder; today the files are in competitions/digit-recognizer
# How the competition's files begin; other data sets have files of the same names.
HEADERS = {"train.csv": b"label,pixel0,", "test.csv": b"pixel0,"}
COLAB = "google.colab"


def working_folder() -> Path | None:
    """Return the folder that a Kaggle notebook keeps; None elsewhere."""
    folder = KAGGLE_FOLDER / "working"
    return folder if os.environ.get("KAGGLE_KERNEL_RUN_TYPE") and folder.is_dir() else None


def default_folder(kind: str) -> Path:
    """Return the folder of ``data``, ``runs`` or ``submissions``: KD_<KIND>_DIR, or ./<kind>.

    In a Kaggle notebook, it is below the working folder. The data are those of the notebook's input
    unless some were fetched.
    """
    if value := os.environ.get(f"KD_{kind.upper()}_DIR"):
        return Path(value)
    folder = own_folder(kind)
    if kind != "data" or working_folder() is None or (folder / "train.csv").exists():
        return folder
    return _find_competition_data() or folder


def own_folder(kind: str) -> Path:
    """Return ./<kind>, or that folder below the working folder of a Kaggle notebook."""
    return (working_folder() or Path()) / kind


def folder_variables() -> dict[str, str]:
    """Return the variables that make ``kd`` use the ``default_folder`` of a Kaggle notebook."""
    if working_folder() is None:
        return {}
    kinds = ("data", "runs", "submissions")
    return {f"KD_{kind.upper()}_DIR": str(default_folder(kind)) for kind in kinds}


def is_kaggle_input(folder: Path) -> bool:
    """Return whether ``folder`` belongs to the read-only input of a Kaggle notebook."""
    return working_folder() is not None and folder.is_relative_to(KAGGLE_FOLDER / "input")


def colab_secrets() -> Any:
    """Return the module ``google.colab.userdata``; None outside the Python of a Colab notebook."""
    return importlib.import_module(f"{COLAB}.userdata") if COLAB in sys.modules else None


def is_colab_command() -> bool:
    """Return whether this process is a command that a Colab notebook runs: it has no secrets."""
    return "COLAB_RELEASE_TAG" in os.environ and COLAB not in sys.modules


def _find_competition_data() -> Path | None:
    """Return the input folder with train.csv and test.csv; one with all three files first."""
    folders = (
        path.parent
        for depth in range(MAX_DEPTH + 1)
        for path in sorted((KAGGLE_FOLDER / "input").glob("*/" * depth + "train.csv"))
        if all(_begins_with(path.with_name(name), head) for name, head in HEADERS.items())
    )
    sample = "sample_submission.csv"
    return max(folders, key=lambda folder: (folder / sample).is_file(), default=None)


def _begins_with(path: Path, head: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(head)) == head
    except OSError:
        return False
