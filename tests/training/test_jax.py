"""Training on JAX, in a process of its own, because Keras chooses its backend once."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split
from kaggle_digits.models.base import load_classifier
from kaggle_digits.models.formats import LITERT_FILE
from kaggle_digits.runs.store import open_run
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.predict import predict_test
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import resume, train
from tests.support.trainings import run_on_jax

pytestmark = pytest.mark.skipif(
    util.find_spec("jax") is None, reason="JAX is missing: pip install -e '.[jax]'"
)
# Everything that is implemented differently there: elastic augmentation, Muon for kernels, averaged
# weights with new batch-normalization statistics.
RECIPE = Recipe(
    "fast",
    widths=(6, 12, 24),
    epochs=5,
    batch_size=97,  # divides 970 rows: JAX would compile a smaller last batch separately
    optimizer="muon",
    learning_rate=0.02,
    label_smoothing=0.1,
    ema=0.9,
    augment=Augmentation(elastic=0.3),
)
ON_JAX = """
import sys
from pathlib import Path
from shutil import copytree

import numpy as np

from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.models.base import load_classifier
from kaggle_digits.training import fold
from kaggle_digits.training.train import resume, train
from tests.training.test_jax import RECIPE
from tests.support.trainings import StopAfter

fold.CHECKPOINT_INTERVAL = 0.0
dataset, here = load(Path(sys.argv[1])), Path(sys.argv[2])
theirs = load_classifier(here / "tensorflow" / "members" / "0")
np.save(here / "theirs.npy", theirs.predict_proba(dataset.test.images))
np.save(here / "few.npy", theirs.predict_proba(dataset.test.images[:3]))
assert "tensorflow" not in sys.modules  # reading needs none
train(dataset, RECIPE, Split(), runs_dir=here, name="jax")
try:
    train(dataset, RECIPE, Split(), runs_dir=here, name="stopped", callback=StopAfter(0, 2))
except KeyboardInterrupt:
    copytree(here / "stopped", here / "left")
resume(dataset, runs_dir=here, name="stopped")
assert "tensorflow" not in sys.modules  # nor does training
"""


@pytest.fixture(scope="module")
def here(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs ``tensorflow``, ``jax``, ``stopped`` and resumed on JAX, and ``left`` unfinished there;
    theirs.npy and few.npy, what JAX reads with the first one's model."""
    folder = tmp_path_factory.mktemp("backends")
    train(load(sample), RECIPE, Split(), runs_dir=folder, name="tensorflow")
    run_on_jax(ON_JAX, sample, folder)
    return folder


def metrics(folder: Path, name: str) -> dict[str, Any]:
    return open_run(folder, name).metrics()


def test_jax_reaches_a_similar_accuracy(here: Path) -> None:
    ours, theirs = metrics(here, "tensorflow"), metrics(here, "jax")
    assert ours["val_accuracy"] > 0.75
    assert abs(theirs["val_accuracy"] - ours["val_accuracy"]) < 0.1
    config = json.loads((here / "jax" / "config.json").read_text())
    assert config["versions"]["backend"] == "jax"
    assert "jax" in config["versions"]


def test_models_predict_alike_on_both_backends(here: Path, dataset: Dataset) -> None:
    ours = load_classifier(here / "tensorflow" / "members" / "0")
    expected = ours.predict_proba(dataset.test.images)
    assert np.abs(np.load(here / "theirs.npy") - expected).max() <= 1e-5
    assert np.abs(np.load(here / "few.npy") - expected[:3]).max() <= 1e-5
    run = open_run(here, "jax")
    assert np.abs(predict_test(run, dataset) - run.test()).max() <= 1e-5
    assert not (run.member_folder(0) / LITERT_FILE).exists()


def test_interrupted_training_on_jax_gives_identical_bits(here: Path) -> None:
    for file in ("oof.npy", "test.npy", "history.csv"):
        one, other = ((here / name / file).read_bytes() for name in ("jax", "stopped"))
        if file.endswith("npy"):
            assert one == other, file
        else:  # seconds, the last column, are never the same
            lines = [text.decode().splitlines() for text in (one, other)]
            bare = [[line.rpartition(",")[0] for line in text] for text in lines]
            assert bare[0] == bare[1]


def test_run_started_on_jax_cannot_be_resumed_on_tensorflow(here: Path, dataset: Dataset) -> None:
    with pytest.raises(ModelError, match="begun on jax in float32, now on tensorflow in float32"):
        resume(dataset, runs_dir=here, name="left")
