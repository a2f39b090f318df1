"""Cost against rows, epochs and members: seconds that grow in proportion, memory that stays.

    python -m benchmarks.scaling --data data

Trains one recipe (``fast``) with one thing doubled at a time, each in a process of its own, in
turns, and fits seconds = start + slope × amount: the worst row's distance from the line says how
far from linear the cost is. Training seconds hold the tracing of the graph, which is the start.
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
BAR_MB = 2000
# Of a cost that grows in proportion, so far off at most; a shared machine needs room.
BAR_OFF = 0.25


def main() -> int:
    """Print a Markdown table; exit 1 where cost is not linear or memory is over the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"recipe {given.recipe}, medians of {given.rounds} rounds in turns")
    print(f"{hardware()}\n{versions()}\n\n| what grows | amount | seconds | peak MB |")
    print("| --- | --- | --- | --- |", flush=True)
    worst_off, worst_mb = 0.0, 0.0
    for what, settings in SETTINGS.items():
        taken: list[list[float]] = [[] for _ in settings]
        memory = [0.0] * len(settings)
        for _ in range(given.rounds):
            for place, options in enumerate(settings):
                with tempfile.TemporaryDirectory() as work:
                    run = train_once(given.recipe, 10, given.data, work, options)
                taken[place].append(run["train_seconds"])
                memory[place] = max(memory[place], run["peak_memory_mb"])
        seconds = [statistics.median(rounds) for rounds in taken]
        amounts = [amount(options, what) for options in settings]
        for row in zip(amounts, seconds, memory, strict=True):
            print("| {} | {:,} | {:.1f} | {:,.0f} |".format(what, *row), flush=True)
        worst_off = max(worst_off, distance_from_line(amounts, seconds))
        worst_mb = max(worst_mb, *memory)
    print(f"\nworst distance from a straight line: {100 * worst_off:.0f} % of the row's seconds")
    print(f"most memory: {worst_mb:,.0f} MB; the bar: {BAR_MB:,}")
    return int(worst_off > BAR_OFF or worst_mb > BAR_MB)


def amount(options: list[str], what: str) -> int:
    """How much of ``what`` the options of a training ask for."""
    given = dict(zip(options[::2], options[1::2], strict=True))
    return int(given["--repeats" if what == "members" else f"--{what}"])


def distance_from_line(amounts: list[int], seconds: list[float]) -> float:
    """The worst of |seconds − fitted| / seconds, fitted by least squares."""
    slope, start = np.polyfit(amounts, seconds, 1)
    fitted = start + slope * np.array(amounts)
    return float(np.max(np.abs(np.array(seconds) - fitted) / np.array(seconds)))


if __name__ == "__main__":
    sys.exit(main())
