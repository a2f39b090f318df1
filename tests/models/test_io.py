"""scikit-learn's models on disk: no code in them, or signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from kaggle_digits.core import signing
from kaggle_digits.core.errors import ModelError
from kaggle_digits.models import io
from kaggle_digits.models.base import SklearnClassifier, load_classifier
from kaggle_digits.models.io import UntrustedError, dumps, dumps_state, loads_state
from kaggle_digits.models.normalization import Normalizer
from tests.robustness.hostile_models import evil_pickles, evil_skops, sound_estimator, states, tried

RNG = np.random.default_rng(0)
FEATURES, LABELS = RNG.random((60, 784), np.float32), np.arange(60) % 10


def kept(model: Any, folder: Path) -> Path:
    return SklearnClassifier(model.fit(FEATURES, LABELS), Normalizer("unit")).save(folder)


@pytest.mark.parametrize("model", [LogisticRegression(), MLPClassifier((5,), max_iter=2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_our_models_and_most_of_scikit_learns_need_no_pickle(model: Any, tmp_path: Path) -> None:
    assert kept(model, tmp_path).name == "model.skops"
    found = load_classifier(tmp_path).predict_proba(np.zeros((3, 28, 28), np.uint8))
    assert np.array_equal(found, model.predict_proba(np.zeros((3, 784), np.float32)))


def test_naive_bayes_too(tmp_path: Path) -> None:
    assert kept(GaussianNB(), tmp_path).name == "model.skops"


def test_others_are_pickled_and_read_where_they_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(RandomForestClassifier(3), tmp_path)
    assert path.name == "model.joblib"
    with pytest.raises(UntrustedError, match=r"model\.joblib is a pickle, .* add --trust"):
        load_classifier(tmp_path)
    signature = tmp_path / io.SIGNATURE_FILE
    signature.write_text(signing.sign(path.read_bytes()))
    assert load_classifier(tmp_path).predict_proba(np.zeros((1, 28, 28), np.uint8)).shape
    signature.write_text("0" * 64)
    with pytest.raises(UntrustedError):
        load_classifier(tmp_path)
    monkeypatch.setenv(signing.VARIABLE, "1")
    assert load_classifier(tmp_path)
    path.write_bytes(path.read_bytes() + b"x")  # with which joblib would fill the memory
    with pytest.raises(ModelError, match=r"cannot be read \(it is damaged\)"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(3)])
def test_a_state_comes_back(model: Any) -> None:
    model.fit(FEATURES, LABELS)
    found = loads_state(dumps_state(model))
    assert np.array_equal(found.predict_proba(FEATURES), model.predict_proba(FEATURES))


def test_without_skops_there_is_the_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert dumps({"estimator": LogisticRegression()})[0] == "model.joblib"


def test_no_strangers_code_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    command = f"touch '{mark}'"
    pickles, files = list(evil_pickles(command)), list(evil_skops(command))[::8]
    rows = [
        tried(tmp_path, mark, "pickles", "model.joblib", pickles),
        tried(tmp_path, mark, "skops", "model.skops", files),
        states(mark, [*pickles, *files]),
    ]
    assert [row.bad for row in rows] == [0, 0, 0], rows
    assert rows[0].times >= 10
    assert rows[1].times >= 40


def test_the_mark_would_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test before says nothing."""
    monkeypatch.setenv(signing.VARIABLE, "1")
    mark = tmp_path / "ran"
    row = tried(tmp_path, mark, "x", "model.joblib", list(evil_pickles(f"touch '{mark}'")))
    assert row.bad == row.times - 1, "all but numpy's, which joblib does not read"


def test_a_file_with_something_else_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(dumps({"estimator": 1, "normalizer": {}})[1])
    with pytest.raises(ModelError, match="it holds int, not a fitted classifier"):
        load_classifier(tmp_path)
    assert sound_estimator().save(tmp_path).name == "model.skops"
