"""Describe a run in words, from its config.json and metrics.json.

The run may have been written by another version, so everything that is missing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def validation(
    config: Mapping[str, Any], training: Mapping[str, Any], views: int | None = None
) -> str:
    """Describe the predictions that the accuracy was measured on; it continues "Measured …".

    Args:
        config: content of config.json.
        training: content of metrics.json.
        views: number of test-time augmentation views, if the rows were predicted again.
    """
    models = training.get("models_per_row", 1)
    if isinstance(models, int) and models > 1:
        text = f"on the mean prediction of {models} models that were not trained on the image"
    elif _section(config, "split").get("kind") == "folds":
        text = "out of fold: each image was predicted by a model that was not trained on it"
    else:
        text = "on held-out images that the model was not trained on"
    if views is None:
        return text
    return f"{text}; each prediction is the mean over {views} view{'s' * (views > 1)} of the image"


def environment(config: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Return seed, training time and hardware in one line."""
    parts = []
    if config.get("seed") is not None:
        parts.append(f"Seed {config['seed']}")
    if seconds := _duration(training.get("train_seconds")):
        parts.append(f"trained in {seconds}")
    if hardware := _hardware(config):
        parts.append(hardware)
    return " · ".join(parts)


def facts(config: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, text) of everything needed to judge and to reproduce the accuracy."""
    recipe = _section(config, "recipe")
    if isinstance(members := recipe.get("designs"), list):  # an ensemble recipe
        recipe_text = "; ".join(_to_text(member) for member in members)
    else:
        recipe_text = _to_text({key: recipe[key] for key in recipe if key != "model"})
    table = [
        ("Model", config.get("model")),
        ("Recipe", recipe_text),
        ("Validation", _split(config)),
        ("Models trained", config.get("members")),
        ("Epochs", _per_member(training.get("epochs"))),
        ("Epoch used", _per_member(training.get("kept_epochs"))),
        ("How it was chosen", training.get("epoch_choice")),
        ("Pseudo-labels", _pseudo_labels(config)),
        ("Seed", config.get("seed")),
        ("Training time", _duration(training.get("train_seconds"))),
        ("Hardware", _hardware(config)),
        ("Data", _data(config)),
        ("Versions", _to_text(config.get("versions"))),
        ("Trained", str(config.get("created", ""))[:16].replace("T", " ")),
    ]
    return [(label, str(value)) for label, value in table if value not in (None, "")]


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    return section if isinstance(section, Mapping) else {}


def _split(config: Mapping[str, Any]) -> str:
    split = _section(config, "split")
    kind = split.get("kind")
    if kind == "folds":
        repeats = split.get("repeats", 1)
        text = f"{split.get('folds')} folds" + (f" × {repeats} repeats" if repeats != 1 else "")
    elif kind == "holdout" and isinstance(split.get("val_fraction"), int | float):
        text = f"{100 * split['val_fraction']:g} % held out"
    else:
        text = str(kind or "")
    rows = split.get("rows")
    return f"{text}, of {rows:,} rows" if isinstance(rows, int) else text


def _hardware(config: Mapping[str, Any]) -> str:
    machine = _section(config, "machine")
    parts = [
        str(machine.get("processor") or ""),
        f"{machine['cores']} cores" if machine.get("cores") else "",
        f"{machine['memory_gb']} GB memory" if machine.get("memory_gb") else "",
        str(machine.get("gpu") or ""),
    ]
    return ", ".join(part for part in parts if part)


def _data(config: Mapping[str, Any]) -> str:
    data = _section(config, "data")
    if not isinstance(data.get("n_train"), int):
        return ""
    digest = str(data.get("train_sha256", ""))[:12]
    source = data.get("source", "unknown")
    return f"{source}: {data['n_train']:,} labelled images (train.csv sha256 {digest}…)"


def _pseudo_labels(config: Mapping[str, Any]) -> str:
    pseudo = _section(config, "pseudo")
    if not pseudo:
        return ""
    text = f"{_per_member(pseudo.get('rows'))} test images labelled by run {pseudo.get('run')}"
    if not pseudo.get("held_out_apart"):
        text += (
            "; that run held out other rows, so its predictions depend on labels of the validation "
            "rows, and the accuracy is slightly optimistic"
        )
    return text


def _per_member(values: Any) -> str:
    """Format one value per member: "8" if all are equal, else "8, 9, 7"."""
    if not isinstance(values, list):
        return "" if values is None else str(values)
    return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))


def _to_text(value: Any) -> str:
    """Format a setting: mappings as "a 1, b 2", lists as "128-64", the rest with str()."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {_to_text(item)}"
            for key, item in value.items()
            if item not in (None, "", [], {})
        )
    if isinstance(value, list | tuple):
        return "-".join(_to_text(item) for item in value)
    return "" if value is None else str(value)


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return ""
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"
