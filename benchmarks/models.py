"""Every model on the competition's rows: accuracy with its interval, seconds, peak memory.

    python -m benchmarks.models --data data --seeds 3

Each training is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from kaggle_digits.machine import machine, versions
from kaggle_digits.training.recipes import RECIPES

HEAD = "| model | accuracy, mean of seeds (spread) | seed 0 (95 % interval) | seconds | peak MB |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder filled by kd fetch")
    parser.add_argument("--models", nargs="*", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(f"{machine()}\n{versions()}\n\n{HEAD}\n|{' --- |' * 5}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        for model in given.models:
            runs = [_train(model, seed, given.data, work) for seed in range(given.seeds)]
            print(_row(model, runs), flush=True)


def _train(model: str, seed: int, data: Path, work: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "kaggle_digits", "train", "--recipe", model]
    options = ["--seed", str(seed), "--json", "--data-dir", str(data.absolute())]
    done = subprocess.run([*command, *options], cwd=work, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _row(model: str, runs: list[dict[str, Any]]) -> str:
    accuracies = [run["val_accuracy"] for run in runs]
    spread = statistics.stdev(accuracies) if len(runs) > 1 else 0.0
    low, high = runs[0]["val_accuracy_ci95"]
    seconds = statistics.median(run["train_seconds"] for run in runs)
    memory = max(run["peak_memory_mb"] for run in runs)
    return (
        f"| `{model}` | {100 * statistics.mean(accuracies):.2f} % (± {100 * spread:.2f}, "
        f"n = {len(runs)}) | {100 * accuracies[0]:.2f} % ({100 * low:.2f}–{100 * high:.2f}) "
        f"| {seconds:.0f} | {memory:,.0f} |"
    )


if __name__ == "__main__":
    main()
