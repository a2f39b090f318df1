"""What a run's config.json and metrics.json say, in words: a figure is never alone.

A run may come from another version: whatever it does not say is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def held_out(
    config: Mapping[str, Any], training: Mapping[str, Any], views: int | None = None
) -> str:
    """On which answers the headline figure was measured; goes on from "Measured"."""
    if views is not None:
        seen = f"{views} moved views" if views > 1 else "one view"
        return f"{held_out(config, training)}; the answer to each is the mean over {seen} of it"
    models = training.get("models_per_row", 1)
    if isinstance(models, int) and models > 1:
        return f"on the mean answer of {models} models that never saw the image in training"
    if _section(config, "split").get("kind") == "folds":
        return "out-of-fold: each image was read by a model that never saw it in training"
    return "on images held out: the model never saw them in training"


def circumstances(config: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Seed, seconds and machine, as one line below the headline figure."""
    parts = []
    if config.get("seed") is not None:
        parts.append(f"Seed {config['seed']}")
    if isinstance(seconds := training.get("train_seconds"), int | float):
        parts.append(f"trained in {_duration(seconds)}")
    if machine := _machine(_section(config, "machine")):
        parts.append(machine)
    return " · ".join(parts)


def facts(config: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a reader needs to judge the headline figure; what a run does not say is left out."""
    data, split = _section(config, "data"), _section(config, "split")
    recipe = _section(config, "recipe")
    if isinstance(designs := recipe.get("designs"), list):  # a committee
        how_trained = "; ".join(_in_words(design) for design in designs)
    else:
        how_trained = _in_words({key: recipe[key] for key in recipe if key != "model"})
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
    known = [
        ("Model", config.get("model")),
        ("Recipe", how_trained),
        ("Validation", how),
        ("Members", config.get("members")),
        ("Epochs", _each(training.get("epochs"))),
        ("Epoch kept", _each(training.get("kept_epochs"))),
        ("How chosen", training.get("epoch_choice")),
        ("Pseudo-labels", _pseudo_in_words(_section(config, "pseudo"))),
        ("Seed", config.get("seed")),
        ("Training time", _duration(seconds) if isinstance(seconds, int | float) else None),
        ("Machine", _machine(_section(config, "machine"))),
        ("Data", _data_in_words(data)),
        ("Versions", _in_words(config.get("versions"))),
        ("Trained", str(config.get("created", ""))[:16].replace("T", " ")),
    ]
    return [(label, str(value)) for label, value in known if value not in (None, "")]


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


def _pseudo_in_words(pseudo: Mapping[str, Any]) -> str:
    if not pseudo:
        return ""
    rows, leak = _each(pseudo.get("rows")), ""
    if not pseudo.get("held_out_apart"):
        leak = (
            "; that run held out other rows, so its answers know labels of the validation rows: "
            "the figure is a little too high"
        )
    return f"{rows} test images labelled by run {pseudo.get('run')}{leak}"


def _each(values: Any) -> str:
    """One figure a member, in short: "8" where all are equal, else "8, 9, 7"."""
    if not isinstance(values, list):
        return "" if values is None else str(values)
    return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))


def _in_words(value: Any) -> str:
    """A setting as it reads best: mappings as "a 1, b 2", lists as "128-64", the rest as is."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {_in_words(item)}"
            for key, item in value.items()
            if item not in (None, "", [], {})
        )
    if isinstance(value, list | tuple):
        return "-".join(_in_words(item) for item in value)
    return "" if value is None else str(value)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"
