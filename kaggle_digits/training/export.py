"""A finished run as one model for other programs, compared with Keras before it counts as done."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import wrap_os_errors
from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.data.digits import SIDE
from kaggle_digits.models.base import KerasClassifier, load_classifier
from kaggle_digits.models.export import check_format, combine_networks, load_exported, write_network
from kaggle_digits.models.litert import TOLERANCE
from kaggle_digits.runs.run import Run
from kaggle_digits.training.recipe import read_recipe

COMPARED = 1_000
README = "README.md"
NEEDS = {"onnx": "onnxruntime", "litert": "ai-edge-litert", "saved_model": "tensorflow"}
CODE = {
    "onnx": """import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
images = np.zeros((1, 28, 28), np.uint8)  # 0 background to 255 ink
(probabilities,) = session.run(None, {session.get_inputs()[0].name: images})
print(probabilities.argmax(axis=1))""",
    "litert": """import numpy as np
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("model.tflite")
model.allocate_tensors()
images = np.zeros((1, 28, 28), np.uint8)  # 0 background to 255 ink
model.set_tensor(model.get_input_details()[0]["index"], images)
model.invoke()
print(model.get_tensor(model.get_output_details()[0]["index"]).argmax(axis=1))""",
    "saved_model": """import numpy as np, tensorflow as tf

model = tf.saved_model.load("saved_model")
images = np.zeros((1, 28, 28), np.uint8)  # 0 background to 255 ink
probabilities = model.serve(images).numpy()
print(probabilities.argmax(axis=1))""",
}


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        folder: where it stands, with a README.md beside it.
        path: the model's file or folder.
        size: of it, in bytes.
        n: images on which it was compared with Keras.
        difference: the largest of any probability there.
    """

    folder: Path
    path: Path
    size: int
    n: int
    difference: float


def export_run(
    run: Run, kind: str, folder: Path, images: NDArray[np.uint8] | None = None
) -> ExportResult:
    """Write a run's networks as one model; normalisation, weights and temperatures are inside.

    Args:
        run: finished.
        kind: ``onnx``, ``litert`` or ``saved_model``.
        folder: made by this; must not stand.
        images: (n, 28, 28) uint8 to compare on, at most 1,000; None for random pixels.

    Raises:
        UsageError: no such format, or the folder stands.
        ModelError: the run holds a scikit-learn model, or the format lacks an operation.
        StorageError: the folder cannot be written.
    """
    check_format(kind)
    if folder.exists():
        raise UsageError(f"{folder} stands already; choose another with -o, or delete it")
    if images is None or not len(images):
        images = np.random.default_rng(0).integers(0, 256, (COMPARED, SIDE, SIDE), np.uint8)
    images = np.resize(images, (COMPARED, SIDE, SIDE))  # fewer are repeated
    network = _as_one(run)
    expected = KerasClassifier(network).predict_proba(images)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}.part")
    with wrap_os_errors(folder):
        part.mkdir(parents=True)
    try:
        path = write_network(network, kind, part)
        found = load_exported(kind, path)(images)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the {kind} model answers otherwise than Keras (by up to {difference:.2g}); "
                "nothing was kept"
            )
        size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        with wrap_os_errors(folder):
            (part / README).write_text(_readme(run, kind, difference), encoding="utf-8")
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ExportResult(folder, folder / path.name, size, len(images), difference)


def _as_one(run: Run) -> Any:
    metrics, folders = run.metrics(), run.member_folders()
    networks = []
    for folder in folders:
        classifier = load_classifier(folder)
        if not isinstance(classifier, KerasClassifier):
            raise ModelError(
                f"run {run.name} holds scikit-learn's {run.config()['model']}, which these formats "
                "do not take; train a Keras model: kd train --model dense"
            )
        networks.append(classifier.network)
    designs = metrics.get("designs") or [{"weight": 1.0, "temperature": 1.0}]
    assert len(designs) == len(read_recipe(run.config()["recipe"]).recipes)
    parts = len(networks) // len(designs)
    return combine_networks(
        [networks[first : first + parts] for first in range(0, len(networks), parts)],
        [design["weight"] for design in designs],
        [*(design["temperature"] for design in designs), metrics.get("temperature", 1.0)],
    )


def _readme(run: Run, kind: str, difference: float) -> str:
    accuracy = run.metrics().get("val_accuracy")
    right = "" if accuracy is None else f", {100 * accuracy:.2f} % right on its held-out rows"
    return f"""# {run.name}, as {kind}

Made by `kd export {run.name} --format {kind}` from a run of {run.config()["model"]}{right}.

Input: uint8 (n, 28, 28), 0 background to 255 ink, the digit as in MNIST (20 × 20 pixels, its
centre of mass in the middle). Output: float32 (n, 10), the probabilities of 0 to 9. Normalisation
is inside. On {COMPARED:,} images the answers are those of Keras within {difference:.1g}; each image
is seen once, where `kd predict` may average several views of it.

It needs `pip install numpy {NEEDS[kind]}`.

```python
{CODE[kind]}
```
"""
