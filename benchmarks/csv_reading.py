"""Reading train.csv, cold and warm, against pandas' C engine with uint8 columns.

    python -m benchmarks.csv_reading --data data
    python -m benchmarks.csv_reading --zip digit-recognizer.zip

Without either, a made-up file of 42,000 rows is read: a fifth of its pixels are ink, as in MNIST.
Each reading is a process of its own and ends with contiguous (n, 784) pixels and (n,) labels;
imports are not counted. Turns are taken: cold, pandas, warm. Cold means that our own cache is
empty; the file itself is in the system's memory for all three. Cold leaves the cache behind, and
the time that takes is counted.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.digits import PIXELS, TRAIN_COLUMNS

ROWS = 42_000
OURS = """
import sys, time
from pathlib import Path
import numpy as np, pyarrow.csv
from kaggle_digits.data.digits import read_train
path = Path(sys.argv[1])
began = time.perf_counter()
digits = read_train(path)
pixels, labels = digits.images.reshape(-1, 784), digits.labels
taken = time.perf_counter() - began
"""
PANDAS = """
import sys, time
import numpy as np, pandas as pd
from kaggle_digits.data.digits import TRAIN_COLUMNS
began = time.perf_counter()
table = pd.read_csv(sys.argv[1], engine="c", dtype=dict.fromkeys(TRAIN_COLUMNS, np.uint8))
pixels = np.ascontiguousarray(table.iloc[:, 1:].to_numpy())
labels = table["label"].to_numpy()
taken = time.perf_counter() - began
"""
SAY = """
assert pixels.flags.c_contiguous and pixels.dtype == np.uint8 and pixels.shape[1] == 784
print(taken, pixels.shape[0], int(pixels.sum(dtype=np.int64)), int(labels.sum(dtype=np.int64)))
"""


def main() -> int:
    """Print a Markdown table; exit 1 where a bar is not held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with train.csv")
    parser.add_argument("--zip", type=Path, help="a digit-recognizer.zip")
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        what = _put(path, given.data, given.zip)
        cold, peer, warm = [], [], []
        for _ in range(given.pairs + 1):
            shutil.rmtree(path.parent / ".cache", ignore_errors=True)
            cold.append(_read(OURS, path))
            peer.append(_read(PANDAS, path))
            warm.append(_read(OURS, path))
        size = path.stat().st_size
    answers = {answer for _, answer in cold + peer + warm}
    if len(answers) != 1:
        print(f"the readers disagree: {answers}")
        return 1
    medians = [statistics.median(s for s, _ in taken[1:]) for taken in (peer, cold, warm)]
    print(f"{what}, {size / 1e6:.0f} MB; medians of {given.pairs} after one not counted")
    print(f"{hardware()}\n{versions()}\n")
    print("| reading | seconds | against pandas, same turns: median (range) |\n| --- | --- | --- |")
    print(f"| pandas, C engine, uint8 columns | {medians[0]:.3f} | 1 |")
    for name, taken, median in (("kd, cold", cold, medians[1]), ("kd, warm", warm, medians[2])):
        ratios = [s / p for (s, _), (p, _) in zip(taken[1:], peer[1:], strict=True)]
        span = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"
        print(f"| {name} | {median:.3f} | {span} |")
    faster = statistics.median(c / w for (c, _), (w, _) in zip(cold[1:], warm[1:], strict=True))
    slower = statistics.median(c / p for (c, _), (p, _) in zip(cold[1:], peer[1:], strict=True))
    held = slower <= 1 and faster >= 8
    print(f"\ncold no slower than pandas: {'holds' if slower <= 1 else 'BROKEN'} ({slower:.2f})")
    print(f"warm 8 times faster than cold: {'holds' if faster >= 8 else 'BROKEN'} ({faster:.0f})")
    return 0 if held else 1


def _put(path: Path, data: Path | None, archive: Path | None) -> str:
    """Put a train.csv at ``path``; returns what it is."""
    if data is not None:
        shutil.copyfile(data / "train.csv", path)
        return "train.csv of a data folder"
    if archive is not None:
        with zipfile.ZipFile(archive) as packed, packed.open("train.csv") as source:
            path.write_bytes(source.read())
        return "Kaggle's train.csv"
    rng = np.random.default_rng(0)
    ink = rng.random((ROWS, PIXELS)) < 0.2
    table = np.column_stack(
        [rng.integers(0, 10, ROWS), np.where(ink, rng.integers(1, 256, ink.shape), 0)]
    )
    words = np.array([str(value) for value in range(256)], dtype=object)
    with path.open("w", newline="") as file:
        file.write(",".join(TRAIN_COLUMNS) + "\r\n")
        for row in table:
            file.write(",".join(words[row]) + "\r\n")
    return f"a made-up train.csv of {ROWS:,} rows"


def _read(code: str, path: Path) -> tuple[float, tuple[str, ...]]:
    """Seconds, and what was read: rows, sum of pixels, sum of labels."""
    # The cache trusts a file's time stamps only after two seconds; the file is older by now.
    done = subprocess.run(
        [sys.executable, "-c", code + SAY, str(path)], check=True, capture_output=True, text=True
    )
    seconds, *answer = done.stdout.split()
    return float(seconds), tuple(answer)


if __name__ == "__main__":
    sys.exit(main())
