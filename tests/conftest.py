"""What every test has: nothing of the person and machine it runs on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split
from kaggle_digits.runs.run import Run
from kaggle_digits.sources import fetch
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train
from tests.support.fixtures import home, kaggle, policy

__all__ = ["home", "kaggle", "policy"]


@pytest.fixture(scope="session", autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home folder of nobody's; no folder, credential or proxy named by a variable."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("KD_", "KAGGLE_", "XDG_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        # One for all tests: matplotlib looks for fonts once and keeps them there.
        patch.setenv("HOME", str(tmp_path_factory.mktemp("nobody")))
        # A shell's background job ignores Ctrl-C, and so does whatever it starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample, fetched once; not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    fetch("sample", folder)
    return folder


@pytest.fixture(scope="session")
def dataset(sample: Path) -> Dataset:
    """The sample loaded: 1,078 labelled and 719 unlabelled digits."""
    return load(sample)


@pytest.fixture(scope="session")
def reading_run(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that reads the sample's digits well, trained in seconds; not to be changed."""
    runs_dir = tmp_path_factory.mktemp("reading")
    recipe = Recipe("dense", batch_size=32, epochs=12, dropout=0.1)
    return train(load(sample), recipe, Split(val_fraction=0.2), runs_dir=runs_dir, name="dense")
