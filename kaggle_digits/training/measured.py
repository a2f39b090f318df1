"""What each recipe was measured to be worth, as `python -m benchmarks.models --write` found it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("measured.json")


def measured() -> dict[str, dict[str, Any]]:
    """Recipe → accuracy (mean of ``seeds``), its spread, seconds, peak_memory_mb, machine, …

    Accuracies are of hold-outs of ``n_val`` of the competition's 42,000 rows; ``first`` and
    ``first_ci95`` are those of ``first_seed``, a hold-out on which nothing was chosen but the
    settings of ``strong`` and ``best``: those out of fold, on all rows.
    """
    if not PATH.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))
    return found
