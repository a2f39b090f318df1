"""Check that training time grows linearly with rows, epochs and members, and memory stays bounded.

    python -m benchmarks.scaling --data data

Doubles one quantity at a time for one recipe (``fast``), each training in a process of its own, in
turns, and fits seconds = start + slope × amount by least squares. The largest relative distance
from that line must stay below 25 %. The start includes tracing the graph.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.models import train_once
from kaggle_digits.core.environment import hardware, versions

SETTINGS = {
    "rows": [["--rows", str(rows), "--epochs", "2"] for rows in (10_000, 20_000, 42_000)],
    "epochs": [["--rows", "20000", "--epochs", str(epochs)] for epochs in (1, 2, 4)],
    "members": [
        ["--rows", "10000", "--epochs", "2", "--repeats", str(repeats)] for repeats in (1, 2, 4)
    ],
}
MAX_MB = 2000
# Timings on a shared machine vary, so the limit is generous.
MAX_DISTANCE = 0.25


def main() -> int:
    """Print a Markdown table; return 1 if time is not linear or memory exceeds the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{hardware()}\n{versions()}\n\n| quantity | amount | seconds | peak MB |")
    print("| --- | --- | --- | --- |", flush=True)
    max_distance, max_mb = 0.0, 0.0
    for quantity, settings in SETTINGS.items():
        seconds: list[list[float]] = [[] for _ in settings]
        memory = [0.0] * len(settings)
        for _ in range(options.rounds):
            for index, training in enumerate(settings):
                with tempfile.TemporaryDirectory() as work:
                    run = train_once(options.recipe, 10, options.data, work, training)
                seconds[index].append(run["train_seconds"])
                memory[index] = max(memory[index], run["peak_memory_mb"])
        medians = [statistics.median(rounds) for rounds in seconds]
        amounts = [amount(training, quantity) for training in settings]
        for row in zip(amounts, medians, memory, strict=True):
            print("| {} | {:,} | {:.1f} | {:,.0f} |".format(quantity, *row), flush=True)
        max_distance = max(max_distance, distance_from_line(amounts, medians))
        max_mb = max(max_mb, *memory)
    print(f"\nlargest distance from a straight line: {100 * max_distance:.0f} %")
    print(f"peak memory: {max_mb:,.0f} MB (at most {MAX_MB:,})")
    return int(max_distance > MAX_DISTANCE or max_mb > MAX_MB)


def amount(options: list[str], quantity: str) -> int:
    """Return the value of ``quantity`` in the options of a training."""
    values = dict(zip(options[::2], options[1::2], strict=True))
    return int(values["--repeats" if quantity == "members" else f"--{quantity}"])


def distance_from_line(amounts: list[int], seconds: list[float]) -> float:
    """Return the largest |seconds − fitted| / seconds of a least-squares line."""
    slope, start = np.polyfit(amounts, seconds, 1)
    fitted = start + slope * np.array(amounts)
    return float(np.max(np.abs(np.array(seconds) - fitted) / np.array(seconds)))


if __name__ == "__main__":
    sys.exit(main())
