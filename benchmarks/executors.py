"""Members in one process on all cores, or in several of one core each: which is faster?

    python -m benchmarks.executors --data data

Trains the same members both ways in turns, each time as a user does (``kd train``), and prints
seconds on the clock with the start of everything in them, the ratio of the pairs, and the most
memory that all processes held together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from kaggle_digits.core.environment import hardware, usable_cores, versions

SECONDS_BETWEEN_LOOKS = 0.5
CASES = {
    "dense": ["--model", "dense", "--epochs", "5"],
    "cnn": ["--model", "cnn", "--epochs", "2"],
    "strong": ["--recipe", "strong", "--epochs", "1"],
}


class Training(NamedTuple):
    """One ``kd train``: seconds on the clock, most memory in MB, share of held-out rows right."""

    seconds: float
    megabytes: float
    accuracy: float


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    cores = usable_cores()
    print(f"{given.members} members, {given.rounds} rounds in turns\n{hardware()}\n{versions()}\n")
    print(
        f"| recipe | 1 process × {cores} threads, s | {cores} processes × 1 thread, s | ratio |"
        " MB | MB |\n| --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    for case in given.cases:
        options = [*CASES[case], "--folds", str(given.members)]
        rounds = [
            (
                train(given.data, [*options, "--workers", "1"]),
                train(given.data, [*options, "--workers", str(cores)]),
            )
            for _ in range(given.rounds)
        ]
        ratio = statistics.median(many.seconds / one.seconds for one, many in rounds)
        one, many = zip(*rounds, strict=True)
        print(
            f"| {case} | {middle(one):.0f} | {middle(many):.0f} | {ratio:.2f} | "
            f"{max(t.megabytes for t in one):,.0f} | {max(t.megabytes for t in many):,.0f} |",
            flush=True,
        )


def middle(trainings: tuple[Training, ...]) -> float:
    """The median of their seconds."""
    return statistics.median(training.seconds for training in trainings)


def train(data: Path, options: list[str]) -> Training:
    """Run ``kd train`` into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as work:
        folders = ["--data-dir", str(data), "--runs-dir", f"{work}/runs"]
        folders += ["--submissions-dir", f"{work}/submissions", "--json"]
        command = [sys.executable, "-m", "kaggle_digits", "train", *options, *folders]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as kd:
            most = 0.0
            while kd.poll() is None:
                most = max(most, memory_mb(kd.pid))
                time.sleep(SECONDS_BETWEEN_LOOKS)
            seconds = time.perf_counter() - started
            assert kd.stdout
            found = json.loads(kd.stdout.read())
    return Training(seconds, most, found["val_accuracy"])


def memory_mb(pid: int) -> float:
    """Memory held by a process and all that it started, in MB; pages that they share once."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_full_info().pss
    except psutil.Error:
        return 0.0
    return total / 2**20


if __name__ == "__main__":
    main()
