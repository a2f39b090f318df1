"""Export a finished run as one model for other programs, checked against the run's own models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.core.errors import DataError, ModelError
from kaggle_digits.core.output_paths import check_output, new_folder
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.digits import CLASSES, SIDE, Images
from kaggle_digits.ensembling.combiners import vote_weights
from kaggle_digits.ensembling.ensemble_run import read_stack
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.metrics.scores import SMALLEST_PROBABILITY
from kaggle_digits.models import formats
from kaggle_digits.models.backend import keras
from kaggle_digits.models.base import KerasClassifier, SklearnClassifier, load_classifier
from kaggle_digits.runs.run import Run
from kaggle_digits.training.predict import predict_images

N_COMPARED = 1_000
README = "README.md"
README_TEMPLATE = Path(__file__).with_name("export_readme.md.j2")


@dataclass(frozen=True)
class ExportResult:
    """An exported model: the new folder, and in it the model's file or folder of ``size`` bytes.

    ``difference`` from the run's models, which are of ``library`` (Keras or scikit-learn), is the
    largest absolute one of a probability on ``n`` images.
    """

    folder: Path
    path: Path
    size: int
    n: int
    difference: float
    library: str


def images_to_compare(load: Callable[[], Dataset]) -> Images | None:
    """Return the images of test.csv, (n, 28, 28) uint8; None, for random pixels, without data."""
    try:
        return load().test.images
    except DataError:
        return None


def export_run(
    run: Run, kind: str, folder: Path, images: Images | None = None, *, force: bool = False
) -> ExportResult:
    """Write a run's models as one that includes normalization, weights and temperatures.

    ``kind`` is ``onnx``, ``litert`` or ``saved_model``, for scikit-learn models ``onnx``. The model
    is compared with those of the run on up to 1,000 ``images``, (n, 28, 28) uint8, or on random
    pixels. ``force`` renames an existing ``folder`` first.

    Raises:
        UsageError: there is no such format, or the folder exists or has a reserved name.
        ModelError: the format cannot express the models, or the exported model differs from them.
        StorageError: the folder cannot be written.
    """
    kind = formats.check_format(kind)
    check_output(folder, folder=True, force=force)
    if images is None or not len(images):
        images = np.random.default_rng(0).integers(0, 256, (N_COMPARED, SIDE, SIDE), np.uint8)
    images = np.resize(images, (N_COMPARED, SIDE, SIDE))  # fewer are repeated
    members = run.member_folders()
    classifiers = [load_classifier(member) for member in members]
    predicted = predict_images(run, classifiers, images, tta=1)
    expected = apply_temperature(predicted, run.metrics()["temperature"])
    estimators = [c for c in classifiers if isinstance(c, SklearnClassifier)]
    library = "scikit-learn" if estimators else "Keras"
    if estimators and (kind != "onnx" or run.base_runs() or run.metrics().get("designs")):
        trained = Run(members[classifiers.index(estimators[0])].parents[1])
        alone = Run(run.path.parent / trained.name)  # a base run, unless it was deleted
        advice = "train a run of it"
        if alone.finished and not alone.metrics().get("designs"):
            advice = f"`kd.export({alone.name!r}, format='onnx')`"
        raise ModelError(
            f"run {run.name} holds scikit-learn's {trained.config()['model']}, which can only be "
            f"exported as ONNX and alone: {advice}"
        )
    with new_folder(folder) as part:
        if estimators:
            temperature = run.metrics()["temperature"]
            path = formats.write_sklearn_onnx(estimators, temperature, part)
        else:
            networks = [c.network for c in classifiers if isinstance(c, KerasClassifier)]
            path = formats.write_network(_combine_networks(run, networks), kind, part)
        probabilities = formats.load_exported(kind, path)(images)
        difference = float(np.abs(probabilities - expected).max())
        if not difference <= formats.TOLERANCE:
            raise ModelError(
                f"the {kind} model differs from {library} by up to {difference:.2g}; it was deleted"
            )
        size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        (part / README).write_text(_readme(run, kind, library, difference), encoding="utf-8")
    return ExportResult(folder, folder / path.name, size, len(images), difference, library)


def _combine_networks(run: Run, networks: list[Any]) -> Any:
    """Combine the run's networks into one: uint8 (n, 28, 28) → probabilities (n, 10)."""
    for member, network in enumerate(networks):
        network.name = f"member_{member}"  # names must be unique in a Keras model
    k = keras()
    images = k.Input((SIDE, SIDE), dtype="uint8", name="images")
    output = _predict(run, (network(images) for network in networks))
    calibrated = _apply_temperature(output, run.metrics()["temperature"])
    return k.Model(images, k.layers.Identity(name="probabilities")(calibrated))


def _predict(run: Run, members: Iterator[Any]) -> Any:
    """Return the run's prediction in Keras operations, as training.predict.predict_images does.

    ``members`` are the outputs of its networks, in order. Those of one recipe are averaged.
    """
    designs = run.metrics().get("designs") or [{"weight": 1.0, "temperature": 1.0}]
    method = (run.config().get("ensemble") or {}).get("method")
    if method:
        outputs = [_predict(one, members) for one in run.base_runs()]
    else:
        n_folds = run.config()["members"] // len(designs)
        outputs = [sum(next(members) for _ in range(n_folds)) / n_folds for _ in designs]
    ops, total = keras().ops, 0.0
    if method == "stack":
        *slopes, intercepts = read_stack(run).astype(np.float32)
        logs = ops.log(ops.maximum(ops.concatenate(outputs, 1), SMALLEST_PROBABILITY))
        return ops.softmax(ops.matmul(logs, np.stack(slopes)) + intercepts)
    if method == "vote":
        # Not ops.argmax: ONNX and LiteRT lack the bit operations that it uses for -0.0.
        votes = [ops.one_hot(ops.top_k(output, 1)[1][:, 0], CLASSES) for output in outputs]
        weights = vote_weights(len(votes)).tolist()
        return sum(weight * vote for weight, vote in zip(weights, votes, strict=True))
    for design, output in zip(designs, outputs, strict=True):
        total = total + design["weight"] * _apply_temperature(output, design["temperature"])
    return total


def _apply_temperature(probabilities: Any, temperature: float) -> Any:
    """Return softmax(log p / T) in Keras operations, as kaggle_digits.metrics.calibration does."""
    if temperature == 1:
        return probabilities
    ops, tiny = keras().ops, float(np.finfo(np.float32).tiny)
    return ops.softmax(ops.log(ops.maximum(probabilities, tiny)) / temperature)


def _readme(run: Run, kind: str, library: str, difference: float) -> str:
    from jinja2 import Template

    source = README_TEMPLATE.read_text(encoding="utf-8")
    template = Template(source, trim_blocks=True, keep_trailing_newline=True)
    metrics = run.metrics()
    measured = {"accuracy": metrics["val_accuracy"], "rows": metrics["n_val"]}
    values = {"run": run.name, "model": run.config()["model"], "kind": kind, **measured}
    return str(template.render(**values, library=library, difference=f"{difference:.1g}"))
