"""Write a Keras network in formats of other programs, and load the result as they do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.backend import keras, suppress_native_stderr
from kaggle_digits.models.base import PredictProba, trace
from kaggle_digits.models.litert import LiteRTClassifier, convert

# Format → the name of the file or folder that is written.
FILES = {"onnx": "model.onnx", "litert": "model.tflite", "saved_model": "saved_model"}
MISSING_PACKAGE = "packages for ONNX are missing; install them: pip install 'kaggle-digits[onnx]'"


def check_format(kind: str) -> None:
    """Raise UsageError if the format is unknown or not available with this Keras backend."""
    if kind not in FILES:
        raise UsageError(f"--format {kind} is unknown; one of: {', '.join(FILES)}")
    backend = backend_name()
    if backend != "tensorflow" and kind in ("onnx", "litert"):  # converted from a TensorFlow graph
        advice = "put KERAS_BACKEND=tensorflow before the command (it reads runs of any backend)"
        raise UsageError(f"--format {kind} needs TensorFlow, not {backend}; {advice}")


def combine_networks(
    architectures: Sequence[Sequence[Any]], weights: Sequence[float], temperatures: Sequence[float]
) -> Any:
    """Combine networks into one: uint8 (n, 28, 28) → probabilities (n, 10).

    The probabilities of an architecture's networks are averaged. The weights of the architectures
    sum to 1. The temperatures are those of each average, then one for the whole.
    """
    k = keras()
    images = k.Input((SIDE, SIDE), dtype="uint8", name="images")
    *own_temperatures, final_temperature = temperatures
    total: Any = 0.0
    for networks, weight, temperature in zip(architectures, weights, own_temperatures, strict=True):
        for number, network in enumerate(networks):  # names must be unique in a Keras model
            network.name = f"{network.name}_{len(networks)}_{number}_{weight:.3f}".replace(".", "_")
        first, *others = (network(images) for network in networks)
        mean = sum(others, first) / len(networks)
        total = total + weight * _apply_temperature(mean, temperature)
    output = k.layers.Identity(name="probabilities")(_apply_temperature(total, final_temperature))
    return k.Model(images, output)


def _apply_temperature(probabilities: Any, temperature: float) -> Any:
    """Return softmax(log p / T) in Keras operations, as kaggle_digits.metrics.calibration does."""
    if temperature == 1:
        return probabilities
    ops, tiny = keras().ops, float(np.finfo(np.float32).tiny)
    return ops.softmax(ops.log(ops.maximum(probabilities, tiny)) / temperature)


def write_network(network: Any, kind: str, folder: Path) -> Path:
    """Write the network into an existing folder; return the file or, for saved_model, the folder.

    Raises ModelError if a package is missing or the format lacks an operation of the network.
    """
    path = folder / FILES[kind]
    try:
        with suppress_native_stderr():
            if kind == "litert":
                path.write_bytes(convert(trace(network)))
            elif kind == "onnx":
                network(np.zeros((1, SIDE, SIDE), np.uint8))  # the export needs a called network
                network.export(path, format="onnx", verbose=False)
            else:
                network.export(path, format="tf_saved_model", verbose=False)
    except ImportError as error:
        raise ModelError(MISSING_PACKAGE) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"the network cannot be written as {kind} ({reason})") from error
    return path


def load_exported(kind: str, path: Path) -> PredictProba:
    """Load a written network with the runtime of its format; ModelError if that is missing."""
    try:
        with suppress_native_stderr():
            if kind == "litert":
                return LiteRTClassifier(path).predict_proba
            if kind == "onnx":
                import onnxruntime

                providers = ["CPUExecutionProvider"]
                session = onnxruntime.InferenceSession(str(path), providers=providers)
                name = session.get_inputs()[0].name
                return lambda images: np.asarray(session.run(None, {name: images})[0], np.float32)
            import tensorflow as tf

            loaded = tf.saved_model.load(str(path))
            return lambda images: np.asarray(loaded.serve(tf.constant(images)), np.float32)
    except ImportError as error:
        raise ModelError(MISSING_PACKAGE) from error
