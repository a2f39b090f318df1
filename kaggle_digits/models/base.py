"""The one interface that all models have: images → probabilities of the ten digits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.digits import CLASSES, SIDE
from kaggle_digits.models import io
from kaggle_digits.models.backend import keras
from kaggle_digits.models.batched_predict import BatchedPredictor
from kaggle_digits.models.io import JOBLIB_FILE, SIGNATURE_FILE, SKOPS_FILE, check_keras_file
from kaggle_digits.models.normalization import Normalizer

KERAS_FILE = "model.keras"
# The layer of a network that normalises; behind it stands the body.
PREPARE = "prepare"


class ProbabilisticModel(Protocol):
    """Whatever reads images."""

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 10) float32, rows summing to 1."""


class Classifier(ProbabilisticModel, Protocol):
    """A trained model with its normalisation inside."""

    def save(self, folder: Path) -> Path:
        """Write the model into ``folder``; the file, whose name says its kind."""

    def first_layer_weights(self) -> NDArray[np.float32] | None:
        """What the first layer looks for: (units, height, width), or None."""


class KerasClassifier:
    """A Keras network: uint8 (n, 28, 28) in, probabilities (n, 10) out.

    Attributes:
        network: the whole model, as saved: normalisation, layers, softmax.
        logits: the same layers without the softmax; what is trained.
    """

    def __init__(self, network: Any, logits: Any = None) -> None:
        self.network = network
        self.logits = logits
        self._predictor = BatchedPredictor(network)

    @classmethod
    def wrap(cls, body: Any, normalizer: Normalizer, augment: Any = None) -> KerasClassifier:
        """Put normalisation before and softmax behind a body (28, 28, 1) → (10,).

        ``augment`` is a layer that stands before all in the trained graph only.

        Raises:
            ModelError: the body does not map (28, 28, 1) to 10 numbers.
        """
        k = keras()
        images = k.Input((SIDE, SIDE), dtype="uint8", name="images")
        prepare = k.Sequential(normalizer.layers(k), name=PREPARE)
        try:
            outputs = body(prepare(images))
        except Exception as error:
            raise ModelError(f"the model does not take images (28, 28, 1): {error}") from error
        if tuple(outputs.shape[1:]) != (CLASSES,):
            raise ModelError(f"the model gives {tuple(outputs.shape[1:])} instead of {CLASSES}")
        outputs = _as_logits(body, outputs)
        network = k.Model(images, k.layers.Softmax(name="probabilities")(outputs))
        if augment is None:
            return cls(network, k.Model(images, outputs))
        moved = augment(k.layers.Rescaling(1.0)(k.layers.Reshape((SIDE, SIDE, 1))(images)))
        return cls(network, k.Model(images, _as_logits(body, body(prepare(moved)))))

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Classifier."""
        return self._predictor(images)

    def traced(self) -> Any:
        """The network as one TensorFlow function; None where it cannot be traced."""
        return self._predictor.traced()

    def save(self, folder: Path) -> Path:
        """See Classifier."""
        self.network.save(folder / KERAS_FILE)
        return folder / KERAS_FILE

    def first_layer_weights(self) -> NDArray[np.float32] | None:
        """See Classifier; dense weights as 28 × 28, convolution filters as they are."""
        for layer in flat_layers(self.network):
            kernel = getattr(layer, "kernel", None)
            if kernel is None:
                continue
            weights = np.asarray(keras().ops.convert_to_numpy(kernel), np.float32)
            if weights.ndim == 2 and weights.shape[0] == SIDE * SIDE:
                return weights.T.reshape(-1, SIDE, SIDE)
            if weights.ndim == 4 and weights.shape[2] == 1:
                return weights[:, :, 0].transpose(2, 0, 1)
            return None
        return None


class SklearnClassifier:
    """A scikit-learn classifier together with the normaliser that feeds it."""

    def __init__(self, estimator: Any, normalizer: Normalizer) -> None:
        self.estimator = estimator
        self.normalizer = normalizer

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 784) float32, normalised."""
        return self.normalizer(images).reshape(len(images), -1)

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Classifier. A digit that was not in the training rows has probability 0."""
        probabilities = np.zeros((len(images), CLASSES), np.float32)
        if len(images):
            predicted = self.estimator.predict_proba(self.features(images))
            probabilities[:, np.asarray(self.estimator.classes_, int)] = predicted
        return probabilities

    def save(self, folder: Path) -> Path:
        """See Classifier."""
        parts = {"estimator": self.estimator, "normalizer": asdict(self.normalizer)}
        name, content = io.dumps(parts)
        (folder / name).write_bytes(content)
        return folder / name

    def first_layer_weights(self) -> NDArray[np.float32] | None:
        """See Classifier."""
        if hasattr(self.estimator, "coefs_"):
            weights = self.estimator.coefs_[0].T
        else:
            weights = getattr(self.estimator, "coef_", None)
        if weights is None or weights.shape[-1] != SIDE * SIDE:
            return None
        return np.asarray(weights, np.float32).reshape(-1, SIDE, SIDE)


def load_classifier(folder: Path) -> Classifier:
    """The model kept in a member's folder.

    Raises:
        ModelError: there is none, it is damaged, or it could run a stranger's code.
    """
    names = (KERAS_FILE, SKOPS_FILE, JOBLIB_FILE)
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None:
        raise ModelError(f"no model in {folder}; train it again or go on with --resume")
    try:
        if path.name == KERAS_FILE:
            check_keras_file(path)
            # In safe mode, code that a file brings is not run.
            network = keras().models.load_model(path, compile=False, safe_mode=True)
            return KerasClassifier(network)
        content = path.read_bytes()
        if path.name == SKOPS_FILE:
            return _around(io.loads_skops(content))
        signature = folder / SIGNATURE_FILE
        said = signature.read_text(encoding="utf-8") if signature.is_file() else None
        return _around(io.loads_pickle(content, said, str(path)))
    except io.UntrustedError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(
            f"{path} cannot be read ({reason}); delete the folder {folder} and go on with: "
            f"kd train --resume --name {folder.parent.parent.name}"
        ) from error


def _around(parts: Any) -> SklearnClassifier:
    """The classifier of what a file held, or an exception where that is something else."""
    estimator, normalizer = parts["estimator"], parts["normalizer"]
    if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
        raise ValueError(f"it holds {type(estimator).__name__}, no fitted classifier")
    if not isinstance(normalizer, Normalizer):  # as pickles once held it
        normalizer = Normalizer(**normalizer)
    return SklearnClassifier(estimator, normalizer)


def _as_logits(body: Any, outputs: Any) -> Any:
    """Logits from what ``body`` gives, which may be probabilities."""
    last = flat_layers(body)[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if type(last).__name__ != "Softmax" and activation != "softmax":
        return outputs
    k = keras()
    # log(softmax) is the logits up to a constant, which softmax takes away again.
    return k.ops.log(k.ops.maximum(outputs, k.backend.epsilon()))


def flat_layers(model: Any) -> list[Any]:
    """All layers of a Keras model in order, those of nested models too."""
    layers = []
    for layer in getattr(model, "layers", []):
        layers += flat_layers(layer) if hasattr(layer, "layers") else [layer]
    return layers or [model]
