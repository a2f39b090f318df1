"""A Keras network written for other programs, and read back as they will read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.backend import keras, suppress_native_stderr
from kaggle_digits.models.batched_predict import trace
from kaggle_digits.models.litert import LiteRTClassifier, convert

Reads = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# Format → what is written into the folder.
FILES = {"onnx": "model.onnx", "litert": "model.tflite", "saved_model": "saved_model"}
# Their converters take TensorFlow's graphs only.
BY_TENSORFLOW = ("onnx", "litert")


def check_format(kind: str) -> None:
    """Raise UsageError for a format that is not offered, or not under this backend of Keras."""
    if kind not in FILES:
        raise UsageError(f"--format {kind} is unknown; one of: {', '.join(FILES)}")
    backend = backend_name()
    if backend != "tensorflow" and kind in BY_TENSORFLOW:
        raise UsageError(
            f"--format {kind} is written by TensorFlow, and Keras' backend is {backend}; put "
            "KERAS_BACKEND=tensorflow before the command: it reads any run"
        )


def combine_networks(
    designs: Sequence[Sequence[Any]], weights: Sequence[float], temperatures: Sequence[float]
) -> Any:
    """Several networks as one: uint8 (n, 28, 28) → probabilities (n, 10).

    Args:
        designs: the networks of each design, whose probabilities are averaged.
        weights: of each design, summing to 1.
        temperatures: of each design, applied to that average; the last one more is of the whole.
    """
    k = keras()
    images = k.Input((SIDE, SIDE), dtype="uint8", name="images")
    *own, of_all = temperatures
    total: Any = 0.0
    for networks, weight, heat in zip(designs, weights, own, strict=True):
        for number, network in enumerate(networks):
            network.name = f"{network.name}_{len(networks)}_{number}_{weight:.3f}".replace(".", "_")
        answers = [network(images) for network in networks]
        mean = sum(answers[1:], answers[0]) / len(answers)
        total = total + weight * _tempered(mean, heat)
    named = k.layers.Identity(name="probabilities")(_tempered(total, of_all))
    return k.Model(images, named)


def _tempered(probabilities: Any, heat: float) -> Any:
    """softmax(log p / T); see kaggle_digits.metrics.calibration."""
    if heat == 1:
        return probabilities
    ops = keras().ops
    tiny = float(np.finfo(np.float32).tiny)
    return ops.softmax(ops.log(ops.maximum(probabilities, tiny)) / heat)


def write_network(network: Any, kind: str, folder: Path) -> Path:
    """Write the network into ``folder``, which stands.

    Returns:
        The file, or for saved_model the folder.

    Raises:
        ModelError: a package is missing, or the format lacks an operation of the network.
    """
    path = folder / FILES[kind]
    try:
        with suppress_native_stderr():
            if kind == "litert":
                path.write_bytes(convert(trace(network)))
            elif kind == "onnx":
                network(np.zeros((1, SIDE, SIDE), np.uint8))  # it exports what was called once
                network.export(path, format="onnx", verbose=False)
            else:
                network.export(path, format="tf_saved_model", verbose=False)
    except ImportError as error:
        raise _missing() from error
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"the network cannot be written as {kind} ({reason})") from error
    return path


def load_exported(kind: str, path: Path) -> Reads:
    """What was written, as another program reads it.

    Raises:
        ModelError: a package is missing or the file cannot be read.
    """
    try:
        with suppress_native_stderr():
            if kind == "litert":
                return LiteRTClassifier(path).predict_proba
            if kind == "onnx":
                return _onnx(path)
            return _saved_model(path)
    except ImportError as error:
        raise _missing() from error


def _onnx(path: Path) -> Reads:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (takes,) = session.get_inputs()
    return lambda images: np.asarray(session.run(None, {takes.name: images})[0], np.float32)


def _saved_model(path: Path) -> Reads:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda images: np.asarray(loaded.serve(tf.constant(images)), np.float32)


def _missing() -> ModelError:
    return ModelError(
        "packages for ONNX are missing; install them: pip install 'kaggle-digits[onnx]'"
    )
