"""A network for LiteRT: the same answers without TensorFlow, ready in tenths of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.digits import CLASSES, SIDE
from kaggle_digits.models.backend import CPU_BATCH_SIZE, suppress_native_stderr
from kaggle_digits.models.base import (
    Classifier,
    KerasClassifier,
    ProbabilisticModel,
    load_classifier,
)

LITERT_FILE = "model.tflite"
# How far its probabilities may stand from the network's, and on how many images that is checked.
TOLERANCE, CHECKED = 1e-4, 100


class LiteRTClassifier:
    """A converted network; one interpreter, so one thread at a time may ask it."""

    def __init__(self, source: Path | bytes) -> None:
        """``source``: a model.tflite, or its bytes.

        Raises:
            ModelError: it cannot be read.
        """
        try:
            with suppress_native_stderr():  # the interpreter writes that it has begun
                from ai_edge_litert.interpreter import Interpreter

                # Read here: in the locale C it could not open a path that is not ASCII.
                content = source if isinstance(source, bytes) else source.read_bytes()
                self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            named = source if isinstance(source, Path) else LITERT_FILE
            reason = " ".join(str(error).split())[:100]
            raise ModelError(
                f"{named} cannot be read ({reason}); delete it, and the model beside it is read"
            ) from error
        (self._into,) = self._interpreter.get_input_details()
        (self._out,) = self._interpreter.get_output_details()
        self._rows = int(self._into["shape"][0])

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → what the network gives of them: (n, …) float32, 1 ≤ n ≤ 500."""
        if len(images) != self._rows:
            self._interpreter.resize_tensor_input(self._into["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(images)
        self._interpreter.set_tensor(self._into["index"], images)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._out["index"]), np.float32)

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8 → (n, 10) float32, rows summing to 1."""
        answers = np.empty((len(images), CLASSES), np.float32)
        for start in range(0, len(images), CPU_BATCH_SIZE):
            answers[start : start + CPU_BATCH_SIZE] = self(images[start : start + CPU_BATCH_SIZE])
        return answers


def to_litert(classifier: Classifier, images: NDArray[np.uint8]) -> bytes | None:
    """The network for LiteRT; None for scikit-learn's models, for layers that LiteRT has not, and
    under JAX, whose programs LiteRT's converter does not take: Keras reads the run then.

    The traced function is frozen and converted as it stands: a fifth of the seconds that Keras'
    export takes, which traces the network again.

    Args:
        classifier: trained.
        images: (n, 28, 28) uint8, the first hundred of which both must answer alike.

    Returns:
        The bytes of model.tflite, whose answers are those of the network within 1e-4.
    """
    if not isinstance(classifier, KerasClassifier):
        return None
    function = classifier.traced()
    if function is None:
        return None
    images = images[:CHECKED] if len(images) else np.zeros((1, SIDE, SIDE), np.uint8)
    try:
        converted = convert(function)
        answers = LiteRTClassifier(converted).predict_proba(images)
    except Exception:
        # An operation that LiteRT lacks says so in a way of its own; Keras reads the run then.
        return None
    same = np.allclose(answers, classifier.predict_proba(images), rtol=0, atol=TOLERANCE)
    return converted if same else None


def convert(function: Any) -> bytes:
    """A traced TensorFlow function → the bytes of model.tflite.

    Raises:
        Exception: whatever the converter raises for an operation that LiteRT lacks.
    """
    with suppress_native_stderr():
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        frozen = convert_variables_to_constants_v2(function)
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())


def load_for_inference(folder: Path) -> ProbabilisticModel:
    """A member's model without TensorFlow where that is kept, with it otherwise.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    path = folder / LITERT_FILE
    return LiteRTClassifier(path) if path.is_file() else load_classifier(folder)
