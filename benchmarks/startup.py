"""Measure how long kd takes to start, against importing typer and rich, which it is built on.

    python -m benchmarks.startup

The commands alternate, so that all see the same load; each start is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

BASELINE = "python -c 'import typer, rich'"
COMMANDS = {
    BASELINE: [sys.executable, "-c", "import typer, rich"],
    "kd --help": [sys.executable, "-m", "kaggle_digits", "--help"],
    "kd train --help": [sys.executable, "-m", "kaggle_digits", "train", "--help"],
    "kd runs (none yet)": [sys.executable, "-m", "kaggle_digits", "runs"],
    "import kaggle_digits": [sys.executable, "-c", "import kaggle_digits"],
    "python -c ''": [sys.executable, "-c", ""],
}
TARGET_SECONDS = 0.4


def main() -> int:
    """Print a Markdown table; return 1 if kd --help takes longer than the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9)
    times = parser.parse_args().times
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(times + 1):
            for name, command in COMMANDS.items():
                elapsed = _start(command, folder)
                if turn:  # the first turn warms the file cache
                    seconds[name].append(elapsed)
    baseline = statistics.median(seconds[BASELINE])
    print(f"| start of a process | median of {times}, s | fastest–slowest | against the baseline |")
    print("| --- | --- | --- | --- |")
    for name, times_of_command in seconds.items():
        median = statistics.median(times_of_command)
        span = f"{min(times_of_command):.3f}–{max(times_of_command):.3f}"
        print(f"| `{name}` | {median:.3f} | {span} | {median / baseline:.2f} |")
    median_help = statistics.median(seconds["kd --help"])
    verdict = "met" if median_help < TARGET_SECONDS else "MISSED"
    print(f"\nkd --help under {TARGET_SECONDS} s: {verdict} ({median_help:.3f} s)")
    return 0 if median_help < TARGET_SECONDS else 1


def _start(command: list[str], folder: str) -> float:
    env = {name: value for name, value in os.environ.items() if not name.startswith("KD_")}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
