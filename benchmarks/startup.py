"""How long kd takes to say anything: against importing typer and rich, which it stands on.

    python -m benchmarks.startup

Turns are taken, so that both see the same machine; each start is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

PEER = "python -c 'import typer, rich'"
COMMANDS = {
    PEER: [sys.executable, "-c", "import typer, rich"],
    "kd --help": [sys.executable, "-m", "kaggle_digits", "--help"],
    "kd train --help": [sys.executable, "-m", "kaggle_digits", "train", "--help"],
    "kd runs (none yet)": [sys.executable, "-m", "kaggle_digits", "runs"],
    "import kaggle_digits": [sys.executable, "-c", "import kaggle_digits"],
    "python -c ''": [sys.executable, "-c", ""],
}
BAR_SECONDS = 0.4


def main() -> int:
    """Print a Markdown table; exit 1 where kd --help takes longer than the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9)
    times = parser.parse_args().times
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(times + 1):
            for name, command in COMMANDS.items():
                taken = _start(command, folder)
                if turn:  # the first brings files into memory
                    seconds[name].append(taken)
    peer = statistics.median(seconds[PEER])
    print(f"| start of a process | median of {times}, s | fastest–slowest | against its peer |")
    print("| --- | --- | --- | --- |")
    for name, all_taken in seconds.items():
        median = statistics.median(all_taken)
        span = f"{min(all_taken):.3f}–{max(all_taken):.3f}"
        print(f"| `{name}` | {median:.3f} | {span} | {median / peer:.2f} |")
    found = statistics.median(seconds["kd --help"])
    verdict = "holds" if found < BAR_SECONDS else "BROKEN"
    print(f"\nkd --help under {BAR_SECONDS} s: {verdict} ({found:.3f} s)")
    return 0 if found < BAR_SECONDS else 1


def _start(command: list[str], folder: str) -> float:
    env = {name: value for name, value in os.environ.items() if not name.startswith("KD_")}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
