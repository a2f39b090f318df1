"""Compare one process on all cores with one process per core.

    python -m benchmarks.executors --data data

Trains the same members both ways in turns with ``kd train``, and prints the seconds from start to
submission, the ratio of each pair, and the peak memory of all processes together.
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

SECONDS_BETWEEN_SAMPLES = 0.5
CASES = {
    "dense": ["--model", "dense", "--epochs", "5"],
    "cnn": ["--model", "cnn", "--epochs", "2"],
    "strong": ["--recipe", "strong", "--epochs", "1"],
}


class Training(NamedTuple):
    """Measurements of one ``kd train``: seconds, peak memory in MB, validation accuracy."""

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
    options = parser.parse_args()
    cores = usable_cores()
    print(f"{options.members} members, {options.rounds} rounds\n{hardware()}\n{versions()}\n")
    print(
        f"| recipe | 1 process × {cores} threads, s | {cores} processes × 1 thread, s | ratio |"
        " MB | MB |\n| --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    for case in options.cases:
        training = [*CASES[case], "--folds", str(options.members)]
        one, many = [], []
        for _ in range(options.rounds):
            one.append(run_kd_train(options.data, [*training, "--workers", "1"]))
            many.append(run_kd_train(options.data, [*training, "--workers", str(cores)]))
        ratio = statistics.median(b.seconds / a.seconds for a, b in zip(one, many, strict=True))
        print(
            f"| {case} | {median_seconds(one):.0f} | {median_seconds(many):.0f} | {ratio:.2f} | "
            f"{max(t.megabytes for t in one):,.0f} | {max(t.megabytes for t in many):,.0f} |",
            flush=True,
        )


def median_seconds(trainings: list[Training]) -> float:
    """Return the median of their seconds."""
    return statistics.median(training.seconds for training in trainings)


def run_kd_train(data: Path, options: list[str]) -> Training:
    """Run ``kd train`` with ``options`` in a temporary folder and measure it."""
    with tempfile.TemporaryDirectory() as work:
        folders = ["--data-dir", str(data), "--runs-dir", f"{work}/runs"]
        folders += ["--submissions-dir", f"{work}/submissions", "--json"]
        command = [sys.executable, "-m", "kaggle_digits", "train", *options, *folders]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as kd:
            peak = 0.0
            while kd.poll() is None:
                peak = max(peak, memory_mb(kd.pid))
                time.sleep(SECONDS_BETWEEN_SAMPLES)
            seconds = time.perf_counter() - started
            assert kd.stdout
            result = json.loads(kd.stdout.read())
    return Training(seconds, peak, result["val_accuracy"])


def memory_mb(pid: int) -> float:
    """Return the memory of a process and all its children in MB; shared pages count once."""
    total = 0
    try:
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            total += each.memory_full_info().pss
    except psutil.Error:
        return 0.0
    return total / 2**20


if __name__ == "__main__":
    main()
