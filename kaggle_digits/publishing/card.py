"""The folder that is published: a run as one model file, and a model card in README.md."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits._version import __version__
from kaggle_digits.core.atomic_io import write_text
from kaggle_digits.core.environment import device
from kaggle_digits.core.errors import UsageError, check_choice
from kaggle_digits.core.output_paths import check_output
from kaggle_digits.data.splits import describe_split
from kaggle_digits.models.base import KERAS_FILE
from kaggle_digits.models.formats import check_format
from kaggle_digits.models.registry import used_settings
from kaggle_digits.runs.run import Run
from kaggle_digits.training.export import README, export_run
from kaggle_digits.training.recipe import run_recipe

TEMPLATE = Path(__file__).with_name("card.md.j2")
# Licence as the Hugging Face Hub names it → as Kaggle does.
LICENCES = {
    "mit": "MIT",
    "apache-2.0": "Apache 2.0",
    "cc-by-sa-4.0": "CC BY-SA 4.0",
    "cc0-1.0": "CC0: Public Domain",
}
SOURCES = {
    "kaggle": "Kaggle's Digit Recognizer (MNIST)",
    "sample": "scikit-learn's 8 × 8 digits, enlarged to 28 × 28",
    "openml": "MNIST, from OpenML",
}
LIBRARIES = {"litert": "tflite", "onnx": "onnx"}  # format → its name on the Hub
SETTINGS = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "augment", "patience")


def check_licence(licence: str) -> None:
    """Raise UsageError if ``licence`` is none of LICENCES."""
    check_choice("license", licence, LICENCES)


def check_kind(kind: str) -> str:
    """Return the format of the model if it is one file; UsageError otherwise."""
    if (kind := check_format(kind)) not in LIBRARIES:
        raise UsageError(f"`format={kind!r}` is no single file; choose litert or onnx")
    return kind


def default_kind(run: Run) -> str:
    """Return onnx for a run of scikit-learn models, litert for one of networks."""
    is_keras = all((member / KERAS_FILE).is_file() for member in run.member_folders())
    return "litert" if is_keras else "onnx"


def write_folder(
    run: Run,
    folder: Path,
    *,
    kind: str,
    licence: str,
    images: NDArray[np.uint8] | None = None,
    force: bool = False,
) -> bool:
    """Write the model of a finished run and its card; return whether it was not there already.

    A ``folder`` that was made from the run as it is now is kept, so that its card may be edited.

    Args:
        kind: litert, or onnx for scikit-learn models.
        licence: a key of LICENCES.
        images: (n, 28, 28) uint8, on which the model is compared with those of the run.
        force: rename an existing folder and write a new one.

    Raises:
        UsageError: the folder exists and was made of something else.
        ModelError: as ``kaggle_digits.training.export.export_run``.
    """
    check_licence(licence)
    card = folder / README
    if not force and card.is_file():
        text = card.read_text(encoding="utf-8")
        if run.sha256() in text and f"library_name: {LIBRARIES[kind]}\n" in text:
            return False
    made = "it was made from another run or version of it, or as another format"
    check_output(folder, folder=True, force=force, advice=f"{made}: `force=True` renames it")
    exported = export_run(run, kind, folder, images, force=force)
    usage = card.read_text(encoding="utf-8").partition("\n\nInput:")[2]
    write_text(card, make_card(run, kind, licence, f"Input:{usage}", exported.path))
    return True


def make_card(run: Run, kind: str, licence: str, usage: str, model: Path) -> str:
    """Return the text of the model card: metadata in YAML, then Markdown."""
    from jinja2 import Environment, StrictUndefined

    config, metrics = run.config(), run.metrics()
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    used = used_settings(config["recipe"])
    settings = {key: used[key] for key in SETTINGS if key in used}
    text: str = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        run=run.name,
        sha256=run.sha256(),
        version=__version__,
        licence=licence,
        library=LIBRARIES[kind],
        model=config["model"],
        file=model.name,
        members=config["members"],
        source=SOURCES.get(config["data"].get("source"), "digits of the publisher's own"),
        held_out=describe_split(config["split"]),
        n_train=config["data"].get("n_train"),
        metrics=metrics,
        biases=biases(run),
        settings={key: value for key, value in settings.items() if value is not None},
        seed=config["seed"],
        device=device(config["machine"]),
        teachers=sorted({name for one in run.trained_runs() for name in one.teachers()[:1]}),
        extra_rows=run.extra_rows(),
        usage=usage,
    )
    return text


def biases(run: Run) -> list[str]:
    """Return why the accuracy is not an unbiased one of the published file, as sentences."""
    config, metrics = run.config(), run.metrics()
    found = []
    if metrics.get("leak"):
        found.append(f"There is no clean accuracy: {metrics['leak']}.")
    choices = [one.metrics()["epoch_choice"] for one in run.trained_runs()]
    if any("chosen on the same rows" in choice for choice in choices):
        found.append("The epoch was chosen on the held-out rows, so the accuracy is too high.")
    views = max(recipe.views for one in run.trained_runs() for recipe in run_recipe(one).recipes)
    if views > 1:
        found.append(
            f"The accuracy is that of the mean over {views} views of each image; this file "
            "predicts one view, so it may be less accurate."
        )
    if count := config.get("val_rows_also_trained_on"):
        found.append(f"{count:,} held-out rows have the same image as a training row.")
    if metrics.get("failed"):
        found.append("Some models failed, so their held-out rows are missing.")
    return found
