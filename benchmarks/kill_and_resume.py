"""kill -9 a training at random moments, resume it, and compare with one that was left alone.

python -m benchmarks.kill_and_resume --data data --model dense --folds 5 --kills 3
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kaggle_digits.run_store import open_run
from kaggle_digits.runs import Run

KD = [sys.executable, "-m", "kaggle_digits"]
IGNORED = {"train_seconds", "finished", "peak_memory_mb"}


def main() -> int:
    """Print what was done and whether all agrees; exit 1 where it does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder filled by kd fetch")
    parser.add_argument("--model", default="dense")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    chance = random.Random(given.seed)
    folders = ["--data-dir", str(given.data.absolute())]
    settings = ["--model", given.model, "--folds", str(given.folds), "--epochs", str(given.epochs)]
    with tempfile.TemporaryDirectory() as work:
        alone, killed = Path(work) / "alone", Path(work) / "killed"
        started = time.monotonic()
        _kd(alone, "train", *settings, "--name", "run", *folders)
        seconds = time.monotonic() - started
        print(f"left alone: {seconds:.1f} s (moments chosen with seed {given.seed})")
        words = [*settings, "--name", "run"]
        for number in range(1, given.kills + 1):
            moment = chance.uniform(0.1, 0.9) * seconds / (1 if number == 1 else 2)
            found = _kill(killed, moment, "train", *words, *folders)
            print(f"kill -9 number {number} after {moment:.1f} s: {found}")
            if (killed / "runs" / "run" / "config.json").exists():
                words = ["--resume", "--name", "run"]
        _kd(killed, "train", *words, *folders)
        differences = _differences(
            open_run(alone / "runs", "run"), open_run(killed / "runs", "run")
        )
        one, other = (f / "submissions" / "run.csv" for f in (alone, killed))
        if one.read_bytes() != other.read_bytes():
            differences.append("submissions/run.csv")
        left = [str(p.relative_to(killed)) for p in killed.rglob("checkpoint.npz")]
        print(f"after the last --resume: {_summary(open_run(killed / 'runs', 'run'))}")
        print(f"left alone:              {_summary(open_run(alone / 'runs', 'run'))}")
        print(f"differences: {', '.join(differences) or 'none, bit for bit'}; left over: {left}")
    return 1 if differences or left else 0


def _kd(folder: Path, *words: str) -> None:
    folder.mkdir(exist_ok=True)
    subprocess.run([*KD, *words], cwd=folder, check=True, capture_output=True)


def _kill(folder: Path, moment: float, *words: str) -> str:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*KD, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = len(list(folder.glob("runs/run/members/*/member.json")))
    under_way = len(list(folder.glob("runs/run/members/*/checkpoint.npz")))
    end = "had ended" if process.returncode == 0 else "killed"
    return f"{end}; {done} members finished, {under_way} with a checkpoint"


def _differences(one: Run, other: Run) -> list[str]:
    found = [
        name
        for name, a, b in (
            ("oof.npy", one.oof(), other.oof()),
            ("test.npy", one.test(), other.test()),
        )
        if not np.array_equal(a, b, equal_nan=True)
    ]
    figures = [{k: v for k, v in run.metrics().items() if k not in IGNORED} for run in (one, other)]
    found += [key for key in figures[0] if figures[0][key] != figures[1].get(key)]
    histories = [
        str([{k: v for k, v in row.items() if k != "seconds"} for row in run.history()])
        for run in (one, other)
    ]
    return found + ["history.csv"] * (histories[0] != histories[1])


def _summary(run: Run) -> str:
    metrics = run.metrics()
    return f"accuracy {metrics['val_accuracy']:.6f}, log loss {metrics['val_loss']:.9f}"


if __name__ == "__main__":
    sys.exit(main())
