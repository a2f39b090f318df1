"""A model of the user's is tried before it is trained."""

import sys
import warnings
from pathlib import Path

import pytest

from kaggle_digits.core import trust
from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.models.registry import build
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.model_trial import try_models
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.train import train

MODELS = """
import keras
from keras import layers

print("imported")
IMAGE = keras.Input((28, 28, 1))

def network(*extra, shape=(28, 28, 1), units=10, activation=None):
    last = [layers.Flatten(), layers.Dense(units, activation)]
    return keras.Sequential([keras.Input(shape), *extra, *last])

def compiled():
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model

def plain():
    return network()

def rgb():
    return network(shape=(28, 28, 3))

def flat():
    return network(shape=(784,))

def nine():
    return network(units=9)

instance = network()

def shared():
    return instance

def a_class():
    return keras.Sequential

def needs_size(size):
    return network()

def fails():
    return {}["widths"]

def leaves():
    raise SystemExit(3)

def two_inputs():
    return keras.Model([IMAGE, keras.Input((3,))], network()(IMAGE))

def two_outputs():
    return keras.Model(IMAGE, [network()(IMAGE), network()(IMAGE)])

def lambda_layer():
    return network(layers.Lambda(lambda pixels: 2 * pixels - 1))

class Scale(layers.Layer):
    def call(self, pixels):
        return 2 * pixels

def own_layer():
    return network(Scale())

class Opaque(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = lambda x: factor * x

    def call(self, pixels):
        return self.factor(pixels)

def opaque():
    return network(Opaque(2))

class Broken(layers.Layer):
    def call(self, pixels):
        raise RuntimeError("no such pixel")

def broken():
    return network(Broken())

class Net(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.body = network()

    def call(self, pixels):
        return self.body(pixels)

def infinite():
    return network(layers.Rescaling(float("inf")))

def rescaling():
    return network(layers.Rescaling(1 / 255))

def divides():
    return keras.Model(IMAGE, network()(IMAGE / 255))

def softmax():
    return network(activation="softmax")

def softmax_operation():
    return keras.Model(IMAGE, keras.ops.softmax(network()(IMAGE)))

def linear_svc():
    from sklearn.svm import LinearSVC
    return LinearSVC()

class Duck:
    def fit(self, features, labels):
        self.classes_ = keras.ops.convert_to_numpy(keras.ops.arange(10))

    def predict_proba(self, features):
        return keras.ops.convert_to_numpy(keras.ops.ones((len(features), len(self.classes_))))

def duck():
    return Duck()
"""
FAULTS = {
    "rgb": r"takes images \(28, 28, 3\) and gets \(28, 28, 1\); begin it with keras.Input",
    "flat": r"takes images \(784,\) and gets \(28, 28, 1\); .* and keras.layers.Flatten\(\)",
    "nine": r"gives \(9,\) instead of 10 numbers .* end it with keras.layers.Dense\(10\)",
    "instance": "instance is a model; write a function that builds and returns a new one",
    "shared": "is not new in each call",
    "a_class": r"returned the class Sequential; return Sequential\(\)",
    "needs_size": r"could not be built: TypeError: .* missing 1 required .*'size'",
    "fails": r"could not be built: KeyError: 'widths' \(trial_models.py, line \d+\)",
    "leaves": r"could not be built: SystemExit: 3 \(trial_models.py, line \d+\)",
    "two_inputs": "has 2 inputs instead of one",
    "two_outputs": "has 2 outputs instead of one",
    "lambda_layer": r"could not be read back without running code \(Lambda\)",
    "own_layer": r"could not be read back without running code \(Scale\)",
    "Net": r"could not be read back without running code \(Net\)",
    "broken": r"RuntimeError: no such pixel \(trial_models.py, line \d+\)",
    "infinite": "are not probabilities: finite, not negative",
    "linear_svc": r"returned LinearSVC; expected .*\.CalibratedClassifierCV",
    "duck": "are not probabilities: finite, not negative",
    "absent": r"trial_models has no function absent \(.*trial_models.py\)",
}


class Messages(TrainingCallback):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_warning(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trial_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trial_models", raising=False)
    monkeypatch.setenv(trust.VARIABLE, "")


def attempt(name: str, dataset: Dataset, **settings: object) -> list[str]:
    messages = Messages()
    recipe = Recipe(f"trial_models:{name}", batch_size=64, optimizer="sgd", **settings)  # type: ignore[arg-type]
    try_models(recipe, dataset.train, messages)
    return messages.texts


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line(name: str, dataset: Dataset) -> None:
    with pytest.raises(ModelError, match=FAULTS[name]) as caught:
        attempt(name, dataset)
    assert str(caught.value).isprintable(), "no line end and no code that colours the terminal"


def test_nothing_is_written_for_a_model_with_a_fault(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Lambda"):
        train(dataset, Recipe("trial_models:lambda_layer"), Split(), runs_dir=tmp_path / "runs")
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("name", ["lambda_layer", "own_layer", "Net"])
def test_models_with_code_are_tried_with_trust(
    name: str, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trust.VARIABLE, "1")
    assert attempt(name, dataset) == []


def test_what_cannot_be_read_at_all_is_refused_with_trust_too(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trust.VARIABLE, "1")
    with pytest.raises(ModelError, match=r"cannot be (saved|read back)"):
        attempt("opaque", dataset)


@pytest.mark.parametrize("name", ["rescaling", "divides"])
def test_pixels_that_are_scaled_twice_are_noticed(name: str, dataset: Dataset) -> None:
    (note,) = attempt(name, dataset)
    assert "`normalize='none'`" in note
    assert attempt(name, dataset, normalize="none") == []


def test_sound_models_pass_in_silence(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for name in ("plain", "softmax", "compiled"):
            assert attempt(name, dataset) == []
    assert capsys.readouterr().out == "", "stdout is for results"


def test_softmax_is_recognized_by_values(dataset: Dataset) -> None:
    from kaggle_digits.models.base import KerasClassifier, Normalizer

    for name in ("softmax", "softmax_operation", "plain"):
        body = build(f"trial_models:{name}", {}, rows=10, batch_size=10)
        images, scaled = dataset.train.images[:5], dataset.train.images[:5, ..., None] / 255
        wrapped = KerasClassifier.wrap(body, Normalizer("unit"), probe=images)
        expected = body(scaled).numpy()
        found = wrapped.predict_proba(images)
        assert (abs(found - expected).max() < 1e-5) == (name != "plain"), name
