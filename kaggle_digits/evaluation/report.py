"""Render report.html: one file that explains a run to a newcomer, opens offline and prints.

The run may have been written by another version, so everything that is missing is left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaggle_digits._version import __version__
from kaggle_digits.metrics.classification import Metrics, Prediction
from kaggle_digits.plots import page
from kaggle_digits.runs.run import Run

MOST_PAIRS = 8
# File name of each figure → its title, in the order of the page.
TITLES = {
    "confusion": "Confusion matrix",
    "class-accuracy": "Accuracy on each digit",
    "worst-mistakes": "Most confident errors",
    "doubtful-right": "Least confident correct predictions",
    "reliability": "Calibration",
    "learning-curves": "Learning curves",
    "first-layer": "Weights of the first layer",
}


def render_report(
    run: Run,
    metrics: Metrics,
    errors: Sequence[Prediction],
    figures: Mapping[str, Path],
    views: int | None,
) -> str:
    """Render the page about a run, measured on its held-out rows, as HTML text.

    ``errors`` are the most confident ones, ``figures`` name → PNG file. ``views`` is the number of
    views in test-time augmentation; None for the predictions saved in the run.
    """
    config, training = run.config(), run.metrics()
    return page.render_page(
        "report.html.j2",
        name=run.name,
        leak=training.get("leak"),
        score=metrics.score,
        wrong=metrics.score.n - metrics.score.correct,
        calibration=metrics.calibration,
        classes=metrics.classes,
        pairs=metrics.pairs[:MOST_PAIRS],
        errors=errors,
        hardest=min((c for c in metrics.classes if c.support), key=lambda c: c.recall or 0.0),
        epoch_choice=training.get("epoch_choice"),
        titles=TITLES,
        figures=figures,
        facts=_facts(config, training),
        validation=_validation(config, training, views),
        environment=_environment(config, training),
        version=__version__,
    )


def _validation(config: Mapping[str, Any], training: Mapping[str, Any], views: int | None) -> str:
    """Describe the predictions that the accuracy was measured on; it continues "Measured …"."""
    models = training.get("models_per_row") or 1
    if leak := training.get("leak"):
        text = f"on images whose labels the training knew indirectly: {leak}"
    elif models > 1:
        text = f"on the mean prediction of {models} models that were not trained on the image"
    elif (config.get("split") or {}).get("kind") == "folds":
        text = "out of fold: each image was predicted by a model that was not trained on it"
    else:
        text = "on held-out images that the model was not trained on"
    if views is None:
        return text
    return f"{text}; each prediction is the mean over {views} view{'s' * (views > 1)} of the image"


def _environment(config: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    seed = config.get("seed")
    seconds = describe_duration(training.get("train_seconds"))
    parts = ("" if seed is None else f"Seed {seed}", seconds and f"trained in {seconds}")
    return " · ".join(filter(None, (*parts, _hardware(config))))


def _facts(config: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, text) of everything needed to judge and to reproduce the accuracy."""
    recipe = config.get("recipe") or {}
    recipe_text = _to_text({key: recipe[key] for key in recipe if key != "model"})
    if isinstance(members := recipe.get("designs"), list):  # an ensemble recipe
        recipe_text = "; ".join(_to_text(member) for member in members)
    table = [
        ("Model", config.get("model")),
        ("Recipe", recipe_text),
        ("Validation", _split(config)),
        ("Models trained", config.get("members")),
        ("Epochs", _per_member(training.get("epochs"))),
        ("Epoch used", _per_member(training.get("kept_epochs"))),
        ("How it was chosen", training.get("epoch_choice")),
        ("Pseudo-labels", _pseudo_labels(config, training.get("leak"))),
        ("Duplicates", _duplicates(config)),
        ("Seed", config.get("seed")),
        ("Training time", describe_duration(training.get("train_seconds"))),
        ("Hardware", _hardware(config)),
        ("Data", _data(config)),
        ("Versions", _to_text(config.get("versions"))),
        ("Trained", str(config.get("created", ""))[:16].replace("T", " ")),
    ]
    return [(label, str(value)) for label, value in table if value not in (None, "")]


def _split(config: Mapping[str, Any]) -> str:
    split = config.get("split") or {}
    text = split.get("kind") or ""
    if text == "folds":
        repeats = split.get("repeats", 1)
        text = f"{split.get('folds')} folds" + (f" × {repeats} repeats" if repeats != 1 else "")
    elif text == "holdout" and split.get("val_fraction") is not None:
        text = f"{100 * split['val_fraction']:g} % held out"
    rows = split.get("rows")
    return text if rows is None else f"{text}, of {rows:,} rows"


def _hardware(config: Mapping[str, Any]) -> str:
    machine = config.get("machine") or {}
    parts = [
        str(machine.get("processor") or ""),
        f"{machine['cores']} cores" if machine.get("cores") else "",
        f"{machine['memory_gb']} GB memory" if machine.get("memory_gb") else "",
        str(machine.get("gpu") or ""),
    ]
    return ", ".join(filter(None, parts))


def _data(config: Mapping[str, Any]) -> str:
    data = config.get("data") or {}
    if data.get("n_train") is None:
        return ""
    digest = (data.get("train_sha256") or "")[:12]
    source = data.get("source", "unknown")
    return f"{source}: {data['n_train']:,} labelled images (train.csv sha256 {digest}…)"


def _pseudo_labels(config: Mapping[str, Any], leak: str | None) -> str:
    pseudo = config.get("pseudo") or {}
    if not pseudo:
        return ""
    text = f"{_per_member(pseudo.get('rows'))} test images labelled by run {pseudo.get('run')}"
    return f"{text}; {leak}, so there is no out-of-fold accuracy" if leak else text


def _duplicates(config: Mapping[str, Any]) -> str:
    count = config.get("val_rows_also_trained_on")
    return f"{count:,} validation rows have the same image as a training row" if count else ""


def _per_member(values: list[float] | None) -> str:
    """Format one value per member: "8" if all are equal, else "8, 9, 7"."""
    if not values:
        return ""
    return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))


def _to_text(value: Any) -> str:
    """Format a setting: mappings as "a 1, b 2", lists as "128-64", the rest with str()."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {_to_text(item)}"
            for key, item in value.items()
            if item not in (None, "", [], {})
        )
    if isinstance(value, list):
        return "-".join(_to_text(item) for item in value)
    return "" if value is None else str(value)


def describe_duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"
