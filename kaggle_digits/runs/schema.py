"""Whether a run folder is what it says: it may be a stranger's.

What is not there is no fault, since a run may come from another version. What is there is of the
kind that every reader takes it to be, so that each of them need not look.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaggle_digits.core import signing
from kaggle_digits.core.errors import RunError

LARGEST, MOST_MEMBERS = 10**12, 100_000


class Odd(ValueError):  # noqa: N818 (callers say which file)
    """What is of another kind than it must be."""


def text(value: Any) -> bool:
    """A text."""
    return isinstance(value, str)


def number(value: Any) -> bool:
    """A number; NaN is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= LARGEST


def count(value: Any) -> bool:
    """A whole number from 0."""
    return number(value) and isinstance(value, int) and value >= 0


def members(value: Any) -> bool:
    """How many members a run can have."""
    return count(value) and 1 <= value <= MOST_MEMBERS


def interval(value: Any) -> bool:
    """Two numbers."""
    return isinstance(value, list) and len(value) == 2 and all(map(number, value))


def mapping(value: Any) -> bool:
    """Settings by name."""
    return isinstance(value, dict)


def numbers(value: Any) -> bool:
    """A list of numbers, perhaps missing ones."""
    return isinstance(value, list) and all(one is None or number(one) for one in value)


# Name → what it must be: a rule, rules of what stands in it, or in a list the rules of each.
# None stands for what is not known, except in what every run has.
NEEDED = {"members"}
CONFIG: dict[str, Any] = {
    "name": text,
    "model": text,
    "recipe": mapping,
    "split": {
        "kind": text,
        "repeats": count,
        "folds": count,
        "val_fraction": number,
        "rows": count,
        "seed": number,
    },
    "split_fingerprint": text,
    "seed": number,
    "members": members,
    "data": {
        "source": text,
        "train_sha256": text,
        "test_sha256": text,
        "n_train": count,
        "n_test": count,
    },
    "versions": mapping,
    "machine": mapping,
    "trained_by": mapping,
    "pseudo": {"run": text, "rows": numbers},
    "remote": mapping,
}
METRICS: dict[str, Any] = {
    "val_accuracy": number,
    "val_accuracy_ci95": interval,
    "val_loss": number,
    "n_val": count,
    "temperature": number,
    "models_per_row": count,
    "member_val_accuracies": numbers,
    "n_train_rows": count,
    "epochs": numbers,
    "kept_epochs": numbers,
    "epoch_choice": text,
    "train_seconds": number,
    "designs": [
        {
            "model": text,
            "weight": number,
            "temperature": number,
            "val_accuracy": number,
            "adds": {"right": number, "log_loss": number},
        }
    ],
    "failed": [{"member": count, "reason": text, "tries": count, "rows_held_out": count}],
}


def check_form(content: Mapping[str, Any], rules: Mapping[str, Any], where: str = "") -> None:
    """Raise Odd for the first value that is of another kind than ``rules`` say."""
    for name, rule in rules.items():
        value = content.get(name)
        if name not in content or (value is None and name not in NEEDED):
            continue
        if isinstance(rule, list):
            if not isinstance(value, list):
                raise Odd(f"{where}{name} is no list")
            for place, one in enumerate(value):
                _check_in(one, rule[0], f"{where}{name}.{place}.")
        elif isinstance(rule, Mapping):
            _check_in(value, rule, f"{where}{name}.")
        elif not rule(value):
            raise Odd(f"{where}{name} is not what it must be")


def refuse_links(folder: Path) -> None:
    """Refuse links in a run's folder that lead out of it; the folder itself may be one.

    Raises:
        RunError: there is one, and the user did not say --trust.
    """
    if signing.trusting():
        return
    inside = folder.resolve()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise RunError(
                    f"{path} is a link that leads out of the run; put what it leads to in its "
                    f"place, or {signing.HOW_TO}"
                )


def _check_in(value: Any, rules: Mapping[str, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise Odd(f"{where.rstrip('.')} holds no settings")
    check_form(value, rules, where)
