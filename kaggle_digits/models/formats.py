"""Models in other formats: LiteRT, which predicts without TensorFlow, ONNX, SavedModel."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core import progress
from kaggle_digits.core.advice import with_variable
from kaggle_digits.core.environment import backend_name
from kaggle_digits.core.errors import ModelError, UsageError, did_you_mean, one_line
from kaggle_digits.core.extras import install_packages, require
from kaggle_digits.data.digits import CLASSES, PIXELS, SIDE, Images
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.models import backend, base
from kaggle_digits.models.backend import suppress_native_stderr

LITERT_FILE = "model.tflite"
# Largest difference of a probability from the network's, checked on this many images.
TOLERANCE, CHECKED_IMAGES = 1e-4, 100
# Format → the name of the file or folder that is written.
FILES = {"onnx": "model.onnx", "litert": "model.tflite", "saved_model": "saved_model"}
OTHER_NAMES = {"tflite": "litert", "saved-model": "saved_model"}
ONNX_OPSETS, ONNX_IR = {"": 17, "ai.onnx.ml": 3}, 8  # read by onnxruntime from 1.13


class LiteRTClassifier:
    """A converted network. It has one interpreter, so it is not thread-safe."""

    def __init__(self, source: Path | bytes) -> None:
        """Load a model.tflite from its path or bytes; raise ModelError if it cannot be read."""
        try:
            with suppress_native_stderr():  # the interpreter prints a message when it is created
                from ai_edge_litert.interpreter import Interpreter

                # In the C locale, Interpreter cannot open a path with other than ASCII characters.
                content = source if isinstance(source, bytes) else source.read_bytes()
                self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            name = source if isinstance(source, Path) else LITERT_FILE
            fault = f"cannot be read ({' '.join(str(error).split())[:100]})"
            advice = "delete it to use the Keras model beside it"
            raise ModelError(f"{name} {fault}; {advice}") from error
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._batch_size = int(self._input["shape"][0])

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """Return the network's output for one batch: (n, 28, 28) uint8 → (n, …) float32."""
        if len(images) != self._batch_size:
            self._interpreter.resize_tensor_input(self._input["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._batch_size = len(images)
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output["index"]), np.float32)

    def predict_proba(self, images: Images) -> Probabilities:
        probabilities = np.empty((len(images), CLASSES), np.float32)
        for start in range(0, len(images), backend.CPU_BATCH_SIZE):
            batch = slice(start, start + backend.CPU_BATCH_SIZE)
            probabilities[batch] = self(images[batch])
        return base.checked(probabilities)


def to_litert(classifier: base.Classifier, images: Images) -> bytes | None:
    """Return the bytes of model.tflite; None if the model cannot be converted.

    Impossible are scikit-learn models, layers that LiteRT does not have, and any model under JAX.
    The probabilities equal the network's within TOLERANCE on the first hundred of ``images``,
    (n, 28, 28) uint8.
    """
    if not isinstance(classifier, base.KerasClassifier) or classifier.concrete_function is None:
        return None
    images = images[:CHECKED_IMAGES] if len(images) else np.zeros((1, SIDE, SIDE), np.uint8)
    try:
        converted = convert(classifier.concrete_function)
        probabilities = LiteRTClassifier(converted).predict_proba(images)
    except Exception:
        # LiteRT raises various types for a missing operation. Runs without the file use Keras.
        return None
    expected = classifier.predict_proba(images)
    return converted if np.allclose(probabilities, expected, rtol=0, atol=TOLERANCE) else None


def convert(function: Any) -> bytes:
    """Convert a concrete TensorFlow function to the bytes of a model.tflite.

    This takes a fifth of the time of Keras' export, which traces the network again. The converter
    raises various types if LiteRT lacks an operation.
    """
    with suppress_native_stderr():
        import tensorflow as tf

        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())


def load_for_inference(folder: Path) -> base.ProbabilisticModel:
    """Load a member's LiteRT model, otherwise as ``base.load_classifier`` does.

    Some platforms have no package of LiteRT; there, Keras reads the model that is saved beside it.
    """
    path = folder / LITERT_FILE
    if not path.is_file():
        return base.load_classifier(folder)
    try:
        return LiteRTClassifier(path)
    except ImportError:
        _note_slow_start()
        return base.load_classifier(folder)


@cache
def _note_slow_start() -> None:
    consequence = "so Keras reads the model, some seconds slower"
    install = install_packages("ai-edge-litert")
    progress.note(f"LiteRT is not installed, {consequence}; to install it: {install}")


def check_format(kind: str) -> str:
    """Return the name of the format, of which ``kind`` may be another name.

    Raises UsageError if it is unknown, needs a package that is not installed, or is not available
    with this Keras backend.
    """
    kind = OTHER_NAMES.get(kind, kind)
    if kind not in FILES:
        hint = did_you_mean(kind, (*FILES, *OTHER_NAMES))
        raise UsageError(f"`format={kind!r}` is unknown; {hint}one of: {', '.join(FILES)}")
    name = backend_name()
    if name != "tensorflow" and kind in ("onnx", "litert"):  # converted from a TensorFlow graph
        raise UsageError(
            f"`format={kind!r}` needs TensorFlow, not {name}; "
            f"{with_variable('KERAS_BACKEND', 'tensorflow')} (it reads runs of any backend)"
        )
    if kind == "litert":
        require("the comparison with LiteRT", "ai_edge_litert")
    elif kind == "onnx":
        require("ONNX", "onnx", "onnxruntime", "skl2onnx", "tf2onnx", extra="onnx")
    return kind


def write_network(network: Any, kind: str, folder: Path) -> Path:
    """Write the network into an existing folder; return the file or, for saved_model, the folder.

    Raises ModelError if the format lacks an operation of the network.
    """
    path = folder / FILES[kind]
    try:
        with suppress_native_stderr():
            if kind == "litert":
                path.write_bytes(convert(base.trace(network)))
            elif kind == "onnx":
                network(np.zeros((1, SIDE, SIDE), np.uint8))  # the export needs a called network
                network.export(path, format="onnx", verbose=False)
            else:
                if backend_name() == "jax":
                    backend.import_tensorflow_beside_jax()
                network.export(path, format="tf_saved_model", verbose=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"the network cannot be written as {kind} ({reason})") from error
    return path


def write_sklearn_onnx(
    classifiers: Sequence[base.SklearnClassifier], temperature: float, folder: Path
) -> Path:
    """Write classifiers as one model.onnx: uint8 (n, 28, 28) → float32 (n, 10) probabilities.

    They are the mean of the classifiers' after normalization, with ``temperature`` applied. Raises
    ModelError if an estimator cannot be converted.
    """
    import onnx
    from onnx import helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    nodes, constants = list[Any](), list[Any]()

    def add(operation: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node whose inputs are names of outputs or constant arrays; name its output."""
        names = list(inputs)
        for position, value in enumerate(inputs):
            if not isinstance(value, str):
                names[position] = f"constant_{len(constants)}"
                constants.append(onnx.numpy_helper.from_array(value, names[position]))
        output = f"value_{len(nodes)}"
        nodes.append(helper.make_node(operation, names, [output], **attributes))
        return output

    pixels = add("Cast", "images", to=onnx.TensorProto.FLOAT)
    predictions = []
    for number, classifier in enumerate(classifiers):
        normalizer, estimator = classifier.normalizer, classifier.estimator
        scaled = add("Mul", pixels, np.float32(normalizer.scale))
        shifted = add("Add", scaled, np.float32(normalizer.offset))
        features = add("Reshape", shifted, np.array([-1, PIXELS]))
        if normalizer.kind == "l2":
            norms = add("ReduceL2", features, axes=[1])
            features = add("Div", features, add("Max", norms, np.float32(base.MIN_NORM)))
        try:
            converted = convert_sklearn(
                estimator,
                initial_types=[("features", FloatTensorType([None, PIXELS]))],
                options={id(estimator): {"zipmap": False}},  # an array instead of dictionaries
                target_opset=ONNX_OPSETS,
            )
        except Exception as error:  # skl2onnx raises various types
            name, reason = type(estimator).__name__, one_line(error, 160)
            raise ModelError(f"{name} cannot be written as onnx ({reason})") from error
        graph = onnx.compose.add_prefix(converted, f"model_{number}_").graph
        nodes.append(helper.make_node("Identity", [features], [graph.input[0].name]))
        nodes.extend(graph.node)
        constants.extend(graph.initializer)
        # Digits missing from the training rows get the probability 0.
        columns = np.eye(CLASSES, dtype=np.float32)[np.asarray(estimator.classes_, int)]
        predictions.append(add("MatMul", graph.output[1].name, columns / len(classifiers)))
    logs = add("Log", add("Max", add("Sum", *predictions), np.finfo(np.float32).tiny))
    result = add("Softmax", add("Div", logs, np.float32(temperature)), axis=1)
    value = helper.make_tensor_value_info
    images = value("images", onnx.TensorProto.UINT8, ["n", SIDE, SIDE])
    probabilities = value(result, onnx.TensorProto.FLOAT, ["n", CLASSES])
    model = helper.make_model(
        helper.make_graph(nodes, "kaggle_digits", [images], [probabilities], constants),
        opset_imports=[helper.make_opsetid(*opset) for opset in ONNX_OPSETS.items()],
        ir_version=ONNX_IR,
    )
    path = folder / FILES["onnx"]
    path.write_bytes(model.SerializeToString())
    return path


def load_exported(kind: str, path: Path) -> base.PredictProba:
    """Load a written network with the runtime of its format."""
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
