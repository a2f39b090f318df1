"""report.html: one file that explains a run to a newcomer, opens offline and prints."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits import __version__
from kaggle_digits.insight.answers import Answer
from kaggle_digits.insight.metrics import Metrics, Pair
from kaggle_digits.scores import Score

TEMPLATE = "report.html.j2"
MOST_PAIRS = 8
# Also the names of the pictures, in the order of the page.
TITLES = {
    "confusion": "What is taken for what",
    "class-accuracy": "Which digits are hard",
    "worst-mistakes": "The worst mistakes",
    "doubtful-right": "The most doubtful right answers",
    "reliability": "Does it know when it is unsure?",
    "learning-curves": "How the training went",
    "first-layer": "What the first layer looks for",
}


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        name: its file's name without suffix; also its anchor.
        title: heading above it.
        explanation: one or two sentences for someone who sees such a figure for the first time.
        uri: the PNG itself as a data URI, so that the page needs no other file.
    """

    name: str
    title: str
    explanation: str
    uri: str


def render(
    *,
    name: str,
    config: Mapping[str, Any],
    training: Mapping[str, Any],
    metrics: Metrics,
    mistakes: Sequence[Answer],
    figures: Mapping[str, Path],
) -> str:
    """The page as text.

    Args:
        name: of the run.
        config: config.json.
        training: metrics.json.
        metrics: measured on the held-out rows.
        mistakes: wrong answers, surest first, as in the picture ``worst-mistakes``.
        figures: picture name -> PNG file.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("kaggle_digits.insight", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["share"] = _share
    explanations = _explanations(metrics, training)
    pictures = [
        Picture(key, TITLES[key], explanations[key], _data_uri(figures[key]))
        for key in TITLES
        if key in figures
    ]
    return environment.get_template(TEMPLATE).render(
        name=name,
        score=metrics.score,
        wrong=_wrong(metrics.score),
        calibration=metrics.calibration,
        classes=metrics.classes,
        pairs=metrics.pairs[:MOST_PAIRS],
        mistakes=mistakes,
        pictures=pictures,
        facts=_facts(config, training),
        held_out=_held_out(config),
        circumstances=_circumstances(config, training),
        version=__version__,
    )


def _explanations(metrics: Metrics, training: Mapping[str, Any]) -> dict[str, str]:
    """A sentence or two for each picture, with this run's own figures."""
    hardest = min(
        (item for item in metrics.classes if item.recall is not None),
        key=lambda item: item.recall or 0.0,
    )
    error = metrics.calibration.error
    choice = str(training.get("epoch_choice") or "").strip().rstrip(".")
    return {
        "confusion": "Each row is a digit as it was written, each column what the model read: "
        "the grey diagonal is right, every orange square a kind of mistake. "
        + (_pair_in_words(metrics.pairs[0]) if metrics.pairs else "This model made none."),
        "class-accuracy": "The dot is the share of each digit's images that is read rightly; the "
        "line is the range in which the true share lies with 95 % confidence. Where two lines "
        f"overlap widely, the difference may be chance. Hardest here: the {hardest.digit}.",
        "worst-mistakes": "The answers that were wrong with the most confidence. Look at each: "
        "would you have read it rightly? Some may be mistakes in the label, not in the answer.",
        "doubtful-right": "Answers that were right but only just. They show what the model finds "
        "hard, and what a few more examples or a little training noise might settle.",
        "reliability": "Answers are sorted by how sure the model was; a point on the dashed line "
        "means that it was right exactly as often as it believed. On average belief and truth "
        f"are {100 * error:.2f} percentage points apart (the expected calibration error; "
        "0 is perfect).",
        "learning-curves": "Loss is what training lowers; accuracy is what we want. While both "
        "curves improve the model is still learning; where training goes on improving and "
        "validation does not, it has begun to learn the training rows by heart."
        + (f" Which epoch was kept: {choice}." if choice else ""),
        "first-layer": "Every square is one unit of the first layer: the weights it gives to "
        "the pixels it looks at. Ink on purple raises its answer, ink on orange lowers it, white "
        "does not matter. Strokes and edges are learnt; speckle is left from the random start.",
    }


def _pair_in_words(pair: Pair) -> str:
    return (
        f"Most often confused: {pair.low} and {pair.high} ({pair.low} read as {pair.high}: "
        f"{pair.low_as_high}; {pair.high} read as {pair.low}: {pair.high_as_low})."
    )


def _held_out(config: Mapping[str, Any]) -> str:
    split = _section(config, "split")
    if split.get("kind") == "folds":
        return "out-of-fold: each image was read by a model that had not seen it in training"
    return "held out: the model never saw these images in training"


def _circumstances(config: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Seed, seconds and machine, as one line below the headline figure."""
    parts = []
    if config.get("seed") is not None:
        parts.append(f"Seed {config['seed']}")
    if isinstance(seconds := training.get("train_seconds"), int | float):
        parts.append(f"trained in {_duration(seconds)}")
    if machine := _machine(_section(config, "machine")):
        parts.append(machine)
    return " · ".join(parts)


def _facts(config: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a reader needs to judge the headline figure; what a run does not say is left out."""
    data, split = _section(config, "data"), _section(config, "split")
    members, epochs = config.get("members"), training.get("epochs")
    kind = split.get("kind")
    if kind == "folds":
        repeats = split.get("repeats", 1)
        how = f"{split.get('folds')} folds" + (f" × {repeats} repeats" if repeats != 1 else "")
    elif kind == "holdout" and isinstance(split.get("val_fraction"), int | float):
        how = f"{100 * split['val_fraction']:g} % held out"
    else:
        how = str(kind) if kind else ""
    if isinstance(split.get("rows"), int):
        how += f", of {split['rows']:,} rows"
    seconds = training.get("train_seconds")
    facts = [
        ("Model", config.get("model")),
        ("Recipe", _in_words(config.get("recipe"))),
        ("Validation", how),
        ("Members", members),
        ("Epochs", _in_words(epochs)),
        ("Epoch kept", training.get("epoch_choice")),
        ("Seed", config.get("seed")),
        ("Training time", _duration(seconds) if isinstance(seconds, int | float) else None),
        ("Machine", _machine(_section(config, "machine"))),
        ("Data", _data_in_words(data)),
        ("Versions", _in_words(config.get("versions"))),
        ("Trained", str(config.get("created", ""))[:16].replace("T", " ")),
    ]
    return [(label, str(value)) for label, value in facts if value not in (None, "")]


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    return section if isinstance(section, Mapping) else {}


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [str(machine["processor"])] if machine.get("processor") else []
    if machine.get("cores"):
        parts.append(f"{machine['cores']} cores")
    if machine.get("memory_gb"):
        parts.append(f"{machine['memory_gb']} GB memory")
    if machine.get("gpu"):
        parts.append(str(machine["gpu"]))
    return ", ".join(parts)


def _data_in_words(data: Mapping[str, Any]) -> str:
    if not isinstance(data.get("n_train"), int):
        return ""
    digest = str(data.get("train_sha256", ""))[:12]
    return (
        f"{data.get('source', 'unknown')}: {data['n_train']:,} labelled images "
        f"(train.csv sha256 {digest}…)"
    )


def _in_words(value: Any) -> str:
    """A setting as it reads best: mappings as "a 1, b 2", lists joined, the rest as it is."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {_in_words(item)}"
            for key, item in value.items()
            if item not in (None, "", [], {})
        )
    if isinstance(value, list | tuple):
        return " ".join(_in_words(item) for item in value)
    return "" if value is None else str(value)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _wrong(score: Score) -> int:
    return round((1 - score.accuracy) * score.n)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
