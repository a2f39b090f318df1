"""Models: images in, normalization, a network or an estimator, probabilities of ten digits out."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import open_file
from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import ModelError, check_choice, one_line
from kaggle_digits.data.digits import CLASSES, SIDE, Images
from kaggle_digits.data.probabilities import Probabilities, check_probabilities
from kaggle_digits.models import backend, io
from kaggle_digits.models.backend import keras
from kaggle_digits.models.io import JOBLIB_FILE, SKOPS_FILE, check_keras_file

KERAS_FILE = "model.keras"
# Name of the layer that normalizes the images; the layers after it are the architecture's own.
NORMALIZATION_LAYER = "prepare"
# The smaller batch size under JAX, so that a single drawing is not padded to 500 images.
SMALL_BATCH = 16

NORMALIZATIONS = ("unit", "l2", "standard", "none")
# Keeps a blank image 0 instead of NaN; keras.utils.normalize divides it by 1.
MIN_NORM = 1e-6

PredictProba = Callable[[Images], Probabilities]


@dataclass(frozen=True)
class Normalizer:
    """image ↦ image × scale + offset; for ``l2`` then divided by its Euclidean norm.

    Attributes:
        kind: ``unit`` (÷ 255), ``l2`` (each image to norm 1, as ``tf.keras.utils.normalize`` on
            (n, 784)), ``standard`` (mean 0, standard deviation 1 over all training pixels) or
            ``none`` (0 to 255, for a model that scales its input itself).
        scale, offset: for pixel values 0 to 255.
    """

    kind: str
    scale: float = 1 / 255
    offset: float = 0.0

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → float32 of the same shape."""
        values = images.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)
        if self.kind == "l2":
            norms = np.sqrt(np.square(values).sum(axis=(1, 2), keepdims=True))
            values /= np.maximum(norms, np.float32(MIN_NORM))
        return values

    def layers(self, keras: Any) -> list[Any]:
        """Return equivalent Keras layers: (n, 28, 28) or (n, 28, 28, 1) → (n, 28, 28, 1)."""
        layers = [
            keras.layers.Reshape((SIDE, SIDE, 1), name="one_channel"),
            keras.layers.Rescaling(self.scale, self.offset, name=f"normalize_{self.kind}"),
        ]
        if self.kind == "l2":
            layers.append(keras.layers.UnitNormalization(axis=(1, 2, 3), name="unit_length"))
        return layers


def fit_normalizer(kind: str, images: Images) -> Normalizer:
    """Fit a normalizer to training rows (n, 28, 28) uint8; UsageError for an unknown kind."""
    check_choice("normalize", kind, NORMALIZATIONS)
    if kind != "standard":
        return Normalizer(kind, 1.0) if kind == "none" else Normalizer(kind)
    # Sums over the histogram are exact, whatever the order of the rows.
    counts = np.bincount(images.ravel(), minlength=256)
    values = np.arange(256)
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * np.square(values - mean)).sum() / counts.sum())
    deviation = max(variance**0.5, 1.0)
    return Normalizer(kind, 1 / deviation, -mean / deviation)


class ProbabilisticModel(Protocol):
    """Anything that predicts probabilities."""

    def predict_proba(self, images: Images) -> Probabilities:
        """(n, 28, 28) uint8 → (n, 10) float32, rows summing to 1.

        The classes here and in formats.py raise ModelError if the model returns anything else.
        """


def checked(probabilities: Probabilities) -> Probabilities:
    """Return the (n, 10) probabilities that a model predicted; ModelError if they are none."""
    try:
        check_probabilities(probabilities)
    except ValueError as error:
        raise ModelError(
            f"the model's predictions are unusable: {error}; check its layers, and train it again, "
            "e.g. with a lower learning rate"
        ) from error
    return probabilities


@dataclass(eq=False)
class KerasClassifier:
    """A Keras network: uint8 (n, 28, 28) → probabilities (n, 10).

    ``network`` is the whole model as it is saved: normalization, layers, softmax. ``logits`` are
    the same layers without the softmax, for training, and ``normalizer`` is what the normalization
    was made from; both are None for a loaded model.
    """

    network: Any
    logits: Any = None
    normalizer: Normalizer | None = None

    @classmethod
    def wrap(
        cls, body: Any, normalizer: Normalizer, augment: Any = None, *, probe: Images | None = None
    ) -> Self:
        """Add normalization before and softmax after a Keras model (28, 28, 1) → (10,).

        The body returns logits, or probabilities if it ends in a softmax; with ``probe``, images
        (n, 28, 28) uint8, its values decide instead of its last layer. The layer ``augment`` is
        applied to the images in the training graph only. ModelError is raised if the body does not
        map (28, 28, 1) to 10 numbers.
        """
        k = keras()
        for kind in ("inputs", "outputs"):
            if (count := len(getattr(body, kind, None) or [None])) > 1:
                raise ModelError(f"the model has {count} {kind} instead of one")
        wanted = tuple((getattr(body, "input_shape", None) or ())[1:])  # () before it is built
        image = (SIDE, SIDE, 1)
        matches = [w in (None, size) for w, size in zip(wanted, image, strict=False)]
        if wanted and (len(wanted) < 2 or not all(matches)):
            flat = " and keras.layers.Flatten()" * (len(wanted) < 2)
            raise ModelError(
                f"the model takes images {wanted} and gets {image}; "
                f"begin it with keras.Input({image}){flat}"
            )
        images = k.Input((SIDE, SIDE), dtype="uint8", name="images")
        normalize = k.Sequential(normalizer.layers(k), name=NORMALIZATION_LAYER)
        try:
            outputs = body(normalize(images))
        except Exception as error:
            raise ModelError(
                f"the model does not take images {image}: {one_line(error)}"
            ) from error
        shape = getattr(outputs, "shape", None)
        if shape is None or tuple(shape[1:]) != (CLASSES,):
            given = tuple(shape[1:]) if shape is not None else f"a {type(outputs).__name__}"
            raise ModelError(
                f"the model gives {given} instead of {CLASSES} numbers for each image; "
                "end it with keras.layers.Dense(10)"
            )
        if probe is None:
            last = flat_layers(body)[-1]
            activation = getattr(getattr(last, "activation", None), "__name__", "")
            is_softmax = type(last).__name__ == "Softmax" or activation == "softmax"
        else:
            values = k.ops.convert_to_numpy(body(normalize(probe), training=False))
            is_softmax = bool((values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-3))
        logits = _as_logits(outputs) if is_softmax else outputs
        body.compiled = False  # an optimizer of its own is never used, so do not save it
        network = k.Model(images, k.layers.Softmax(name="probabilities")(logits))
        if augment is None:
            return cls(network, k.Model(images, logits), normalizer)
        augmented = augment(k.layers.Rescaling(1.0)(k.layers.Reshape((SIDE, SIDE, 1))(images)))
        outputs = body(normalize(augmented))
        logits = _as_logits(outputs) if is_softmax else outputs
        return cls(network, k.Model(images, logits), normalizer)

    @cached_property
    def concrete_function(self) -> Any:
        """The network as a TensorFlow function of one batch; None if it cannot be traced."""
        return trace(self.network)

    @cached_property
    def compiled(self) -> Any:
        """The network compiled by JAX: a function of its variables' values and of images.

        It may be set to that of a classifier with the same layers, so that JAX compiles only one.
        """
        import jax

        def predict(trainable: Any, non_trainable: Any, images: Any) -> Any:
            return self.network.stateless_call(trainable, non_trainable, images, training=False)[0]

        return jax.jit(predict)

    @cached_property
    def _predict_batch(self) -> PredictProba | None:
        """The network as a function of one batch; None if only Keras' predict can run it."""
        if backend_name() == "jax":
            return _jit(self.network, self.compiled)
        traced = self.concrete_function
        if traced is None:
            return None
        import tensorflow as tf

        return lambda images: np.asarray(traced(tf.constant(images)).numpy(), np.float32)

    def predict_proba(self, images: Images) -> Probabilities:
        """Equal ``network.predict`` within 1e-5, with the same bits in each call.

        With predict's batches of 32, small networks spend more time on passing data than on
        arithmetic (benchmarks/predicting.py). Here the network is traced once, without freezing its
        weights, which training may change, and called on hundreds of images at a time.
        """
        probabilities = np.empty((len(images), CLASSES), np.float32)
        if not len(images):
            return probabilities
        size, predict_batch = backend.predict_batch_size(), self._predict_batch
        if predict_batch is None:
            predicted = self.network.predict(images, batch_size=size, verbose=0)
            return checked(np.asarray(predicted, np.float32))

        def fill(start: int) -> None:
            probabilities[start : start + size] = predict_batch(images[start : start + size])

        with ThreadPoolExecutor(backend.predict_workers()) as pool:
            list(pool.map(fill, range(0, len(images), size)))
        return checked(probabilities)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the model as Keras saves it, not the traced functions."""
        return {"network": self.network, "logits": None}

    def save(self, folder: Path) -> Path:
        """Write model.keras into ``folder``; return its path."""
        with backend.without_tensorflow():
            self.network.save(folder / KERAS_FILE)
        return folder / KERAS_FILE

    def first_layer_weights(self) -> NDArray[np.float32] | None:
        """Return dense weights as (units, 28, 28), convolution kernels as (filters, h, w)."""
        kernels = (getattr(layer, "kernel", None) for layer in flat_layers(self.network))
        kernel = next((kernel for kernel in kernels if kernel is not None), None)
        if kernel is None:
            return None
        weights = np.asarray(keras().ops.convert_to_numpy(kernel), np.float32)
        if weights.ndim == 2 and weights.shape[0] == SIDE * SIDE:
            return weights.T.reshape(-1, SIDE, SIDE)
        if weights.ndim == 4 and weights.shape[2] == 1:
            return weights[:, :, 0].transpose(2, 0, 1)
        return None


@dataclass(eq=False)
class SklearnClassifier:
    """A scikit-learn classifier with the normalizer of its features."""

    estimator: Any
    normalizer: Normalizer

    def features(self, images: Images) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 784) float32, normalized."""
        return self.normalizer(images).reshape(len(images), -1)

    def predict_proba(self, images: Images) -> Probabilities:
        """Return 0 for digits missing from the training rows."""
        probabilities = np.zeros((len(images), CLASSES), np.float32)
        if len(images):
            predicted = self.estimator.predict_proba(self.features(images))
            probabilities[:, np.asarray(self.estimator.classes_, int)] = predicted
        return checked(probabilities)

    def save(self, folder: Path) -> Path:
        """Write model.skops or model.joblib into ``folder``; return its path."""
        normalizer = asdict(self.normalizer)
        name, content = io.dumps({"estimator": self.estimator, "normalizer": normalizer})
        (folder / name).write_bytes(content)
        return folder / name

    def first_layer_weights(self) -> NDArray[np.float32] | None:
        """Return linear weights as (10, 28, 28), those of a perceptron as (units, 28, 28)."""
        weights = getattr(self.estimator, "coef_", None)
        if hasattr(self.estimator, "coefs_"):  # a multi-layer perceptron
            weights = self.estimator.coefs_[0].T
        if weights is None or weights.shape[-1] != SIDE * SIDE:
            return None
        return np.asarray(weights, np.float32).reshape(-1, SIDE, SIDE)


# A trained model that includes its normalization.
Classifier = KerasClassifier | SklearnClassifier


def load_classifier(folder: Path) -> Classifier:
    """Load the model in a member's folder; ModelError if it is missing, damaged or not trusted."""
    names = (KERAS_FILE, SKOPS_FILE, JOBLIB_FILE)
    path = next((folder / name for name in names if os.path.lexists(folder / name)), None)
    command = f"`kd.resume(dataset, name={folder.parent.parent.name!r})`"
    if path is None:
        raise ModelError(f"no model in {folder}; delete the folder and continue with: {command}")
    try:
        open_file(path).close()  # ValueError unless it is a file
        if path.name == KERAS_FILE:
            code = check_keras_file(path)
            objects = {name: found for name, found in code.items() if found is not None}
            # Safe mode refuses to deserialize code.
            return KerasClassifier(
                keras().models.load_model(path, objects, compile=False, safe_mode=not code)
            )
        content = path.read_bytes()
        is_skops = path.name == SKOPS_FILE
        parts = io.loads_skops(content) if is_skops else io.loads_pickle(content, str(path))
        estimator = parts["estimator"]
        if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
            raise ValueError(f"it holds {type(estimator).__name__}, not a fitted classifier")  # noqa: TRY301
        return SklearnClassifier(estimator, Normalizer(**parts["normalizer"]))
    except io.UntrustedError:
        raise
    except Exception as error:
        reason = one_line(error, 120)
        advice = f"delete the folder {folder} and continue with: {command}"
        raise ModelError(f"{path} cannot be read ({reason}); {advice}") from error


def trace(network: Any) -> Any:
    """Trace a network of uint8 (n, 28, 28) as a TensorFlow function; None if that is impossible."""
    if keras().backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    def predict(images: Any) -> Any:
        return network(images, training=False)

    images = tf.TensorSpec((None, SIDE, SIDE), tf.uint8)
    try:
        return tf.function(predict).get_concrete_function(images)
    except Exception:
        # A layer of the user's that cannot be traced; predict runs it or reports the error.
        return None


def _jit(network: Any, compiled: Any) -> PredictProba | None:
    """Return the ``compiled`` network as a function of one batch; None if JAX cannot trace it.

    It is called with two batch sizes only, because JAX compiles each size anew.
    """

    def predict_batch(images: Images) -> Probabilities:
        size = SMALL_BATCH if len(images) <= SMALL_BATCH else backend.predict_batch_size()
        if (count := len(images)) < size:
            padded = np.zeros((size, SIDE, SIDE), np.uint8)
            padded[:count] = images
            images = padded
        probabilities = compiled(*variable_values(network), images)
        return np.asarray(probabilities, np.float32)[:count]

    import jax

    image = jax.ShapeDtypeStruct((1, SIDE, SIDE), np.uint8)
    try:
        jax.eval_shape(compiled, *variable_values(network), image)
    except Exception:
        # A layer of the user's in numpy; predict runs it or reports the error.
        return None
    return predict_batch


def variable_values(network: Any) -> tuple[list[Any], list[Any]]:
    """Return the values of the trainable and of the other variables of a Keras model."""
    groups = network.trainable_variables, network.non_trainable_variables
    trainable, others = ([variable.value for variable in group] for group in groups)
    return trainable, others


def _as_logits(probabilities: Any) -> Any:
    """Return log p: log(softmax(z)) is z but for a constant, to which softmax is invariant."""
    k = keras()
    return k.ops.log(k.ops.maximum(probabilities, k.backend.epsilon()))


def flat_layers(model: Any) -> list[Any]:
    """Return all layers of a Keras model in order, including those of nested models."""
    layers = []
    for layer in getattr(model, "layers", []):
        layers += flat_layers(layer) if hasattr(layer, "layers") else [layer]
    return layers or [model]
