"""Fixtures for all tests, which must not depend on the user or computer they run on."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split
from kaggle_digits.runs.run import Run
from kaggle_digits.sources.fetch import fetch
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train
from tests.support.fixtures import home, kaggle, policy
from tests.support.kept_readers import keep_readers

__all__ = ["home", "kaggle", "policy"]


# Modules that take the longest start first, so that no process is left alone with one at the end.
SLOWEST = (
    *("test_readme.py", "test_ray.py", "test_page.py", "test_train.py", "test_local.py"),
    *("test_runner.py", "test_at_once.py", "test_notebook.py", "test_evaluate.py"),
    *("test_export.py", "test_backend.py", "test_main.py", "test_jax.py", "test_keras_trainer.py"),
    *("test_mixed_precision.py", "test_functions.py", "test_gpu.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the slowest modules first."""
    rank = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(SLOWEST)))


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home folder, no terminal, no variable that names a folder, credential or proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("KD_", "KAGGLE_", "XDG_")) or name.lower().endswith(
                ("_proxy", "_ca_bundle", "ssl_cert_file")
            ):
                patch.delenv(name)
        patch.delenv("COLUMNS", raising=False)  # which pytest-xdist sets
        # As in an activated environment: messages then advise a plain `pip install`.
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        # Shared by all tests, because matplotlib caches its list of fonts there.
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        # Jobs in the background of a shell ignore Ctrl-C, and so do their child processes.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # What commands print must not depend on the speed of the computer.
        patch.setattr("kaggle_digits.cli.main.FIRST_SIGN", 3600.0)
        # Waiting for the disk protects from power failures only.
        patch.setattr(os, "fsync", lambda descriptor: None)
        # CliRunner would make all commands again for each one that it runs.
        patch.setattr("typer.testing._get_command", functools.cache(typer.main.get_command))
        # The batch-normalization statistics of averaged weights from 512 rows, not 16,384.
        patch.setattr("kaggle_digits.training.keras_trainer.BATCHNORM_STEPS", 8)
        patch.setattr("kaggle_digits.training.keras_trainer.BATCHNORM_BATCH_SIZE", 64)
        # Half the resolution: a quarter of the pixels to draw and to compress.
        patch.setattr("kaggle_digits.plots.style.DPI", 75)
        # One row of pictures in the figures of an evaluation, not four.
        patch.setattr("kaggle_digits.evaluation.evaluate.MOST_SHOWN", 6)
        patch.setattr("kaggle_digits.evaluation.evaluate.MOST_EXPLAINED", 3)
        keep_readers(patch)
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A read-only data folder with the sample, fetched once."""
    folder = tmp_path_factory.mktemp("sample")
    fetch("sample", folder)
    return folder


@pytest.fixture(scope="session")
def dataset(sample: Path) -> Dataset:
    """The loaded sample: 1,078 labelled and 719 unlabelled digits."""
    return load(sample)


@pytest.fixture(scope="session")
def trained_run(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A read-only run that classifies the sample's digits well."""
    runs_dir = tmp_path_factory.mktemp("trained")
    recipe = Recipe("dense", batch_size=32, epochs=12, dropout=0.1)
    return train(load(sample), recipe, Split(val_fraction=0.2), runs_dir=runs_dir, name="dense")
