"""Model files: no code in them runs without --trust, and no file outside is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from kaggle_digits.core import trust
from kaggle_digits.core.errors import ModelError
from kaggle_digits.models import io
from kaggle_digits.models.base import Normalizer, SklearnClassifier, load_classifier
from kaggle_digits.models.io import UntrustedError, dumps, dumps_state, loads_state
from tests.robustness.hostile_models import (
    evil_keras,
    evil_pickles,
    evil_skops,
    sound_estimator,
    sound_network,
    states,
    tried,
)

RNG = np.random.default_rng(0)
FEATURES, LABELS = RNG.random((60, 784), np.float32), np.arange(60) % 10


def saved(model: Any, folder: Path) -> Path:
    """Fit ``model`` and save it in ``folder``."""
    return SklearnClassifier(model.fit(FEATURES, LABELS), Normalizer("unit")).save(folder)


@pytest.mark.parametrize("model", [LogisticRegression(), MLPClassifier((5,), max_iter=2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_our_sklearn_models_need_no_pickle(model: Any, tmp_path: Path) -> None:
    assert saved(model, tmp_path).name == "model.skops"
    probabilities = load_classifier(tmp_path).predict_proba(np.zeros((3, 28, 28), np.uint8))
    assert np.array_equal(probabilities, model.predict_proba(np.zeros((3, 784), np.float32)))


def test_naive_bayes_needs_no_pickle(tmp_path: Path) -> None:
    assert saved(GaussianNB(), tmp_path).name == "model.skops"


def test_forest_is_pickled_and_read_only_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(RandomForestClassifier(3), tmp_path)
    assert path.name == "model.joblib"
    assert load_classifier(tmp_path)  # by the process that wrote it
    monkeypatch.setattr(io, "_own_pickles", set())
    with pytest.raises(UntrustedError, match=r"model\.joblib is a pickle, .* add `os.environ"):
        load_classifier(tmp_path)
    # Earlier versions wrote a signature; it does not replace consent.
    (tmp_path / "model.joblib.signature").write_text("0" * 64)
    with pytest.raises(UntrustedError):
        load_classifier(tmp_path)
    monkeypatch.setenv(trust.VARIABLE, "1")
    assert load_classifier(tmp_path).predict_proba(np.zeros((1, 28, 28), np.uint8)).shape
    path.write_bytes(path.read_bytes() + b"x")  # with which joblib would fill the memory
    with pytest.raises(ModelError, match=r"cannot be read \(it is damaged\)"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(3)])
def test_state_round_trip(model: Any) -> None:
    model.fit(FEATURES, LABELS)
    restored = loads_state(dumps_state(model))
    assert np.array_equal(restored.predict_proba(FEATURES), model.predict_proba(FEATURES))


def test_pickled_state_of_another_process_needs_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    state = dumps_state(RandomForestClassifier(3).fit(FEATURES, LABELS))
    monkeypatch.setattr(io, "_own_pickles", set())
    with pytest.raises(UntrustedError, match="the checkpoint is a pickle"):
        loads_state(state)
    monkeypatch.setenv(trust.VARIABLE, "1")
    assert isinstance(loads_state(state), RandomForestClassifier)


def test_without_skops_models_are_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert dumps({"estimator": LogisticRegression()})[0] == "model.joblib"


def test_hostile_sklearn_files_run_no_code(tmp_path: Path) -> None:
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


def test_hostile_pickles_would_leave_the_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the test above proves nothing."""
    monkeypatch.setenv(trust.VARIABLE, "1")
    mark = tmp_path / "ran"
    row = tried(tmp_path, mark, "x", "model.joblib", list(evil_pickles(f"touch '{mark}'")))
    assert row.bad == row.times - 1, "all but numpy's, which joblib does not read"


def test_file_without_a_classifier_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(dumps({"estimator": 1, "normalizer": {}})[1])
    with pytest.raises(ModelError, match="it holds int, not a fitted classifier"):
        load_classifier(tmp_path)
    assert sound_estimator().save(tmp_path).name == "model.skops"


def test_hostile_keras_files_run_no_code_and_read_no_other_file(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    files = list(evil_keras(tmp_path, f"touch '{mark}'"))
    files = [*files[:-20:4], *files[-20:]]
    row = tried(tmp_path, mark, "keras", "model.keras", files)
    assert row.bad == 0, row
    assert row.times > 30
    # One file has another class name but is a network all the same, so it may be read.
    assert "1 loaded without harm" in row.measured, row


def test_sound_keras_file_is_read(tmp_path: Path) -> None:
    sound_network(tmp_path)
    shape = load_classifier(tmp_path).predict_proba(np.zeros((1, 28, 28), np.uint8)).shape
    assert shape == (1, 10)
