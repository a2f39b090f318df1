"""Time to read train.csv, without and with the cache, against pandas' C engine with uint8 columns.

    python -m benchmarks.csv_reading --data data
    python -m benchmarks.csv_reading --zip digit-recognizer.zip

By default a synthetic file of 42,000 rows is read, with ink in a fifth of its pixels as in MNIST.
Each read is a process of its own, ends with contiguous (n, 784) pixels and (n,) labels, and is
timed without imports. The three readers take turns: kd cold (cache folder deleted; the time to
write the cache counts), pandas, kd warm (from the cache). The CSV file itself is in the operating
system's page cache for all of them.
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

ROWS, MOST_TIMES_PANDAS = 42_000, 1.5
KD = """
import sys, time
from pathlib import Path
import numpy as np
from kaggle_digits.data.digits import read_train
path = Path(sys.argv[1])
start = time.perf_counter()
digits = read_train(path)
pixels, labels = digits.images.reshape(-1, 784), digits.labels
seconds = time.perf_counter() - start
"""
PANDAS = """
import sys, time
import numpy as np, pandas as pd
from kaggle_digits.data.digits import TRAIN_COLUMNS
start = time.perf_counter()
table = pd.read_csv(sys.argv[1], engine="c", dtype=dict.fromkeys(TRAIN_COLUMNS, np.uint8))
pixels = np.ascontiguousarray(table.iloc[:, 1:].to_numpy())
labels = table["label"].to_numpy()
seconds = time.perf_counter() - start
"""
PRINT = """
assert pixels.flags.c_contiguous and pixels.dtype == np.uint8 and pixels.shape[1] == 784
print(seconds, pixels.shape[0], int(pixels.sum(dtype=np.int64)), int(labels.sum(dtype=np.int64)))
"""


def main() -> int:
    """Print a Markdown table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with train.csv")
    parser.add_argument("--zip", type=Path, help="a digit-recognizer.zip")
    parser.add_argument("--pairs", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        description = _make_file(path, args.data, args.zip)
        cold, pandas, warm = [], [], []
        for _ in range(args.pairs + 1):
            shutil.rmtree(path.parent / ".cache", ignore_errors=True)
            cold.append(_read(KD, path))
            pandas.append(_read(PANDAS, path))
            warm.append(_read(KD, path))
        megabytes = path.stat().st_size / 1e6
    sums = {result[1] for result in cold + pandas + warm}
    if len(sums) != 1:
        print(f"the readers disagree: {sums}")
        return 1
    # The first round warms the page cache up.
    cold_seconds, pandas_seconds, warm_seconds = (
        [seconds for seconds, _ in results[1:]] for results in (cold, pandas, warm)
    )
    print(f"{description}, {megabytes:.0f} MB; medians of {args.pairs} rounds after a warm-up")
    print(f"{hardware()}\n{versions()}\n")
    print("| reader | seconds | ratio to pandas in the same round: median (range) |")
    print("| --- | --- | --- |")
    print(f"| pandas, C engine, uint8 columns | {statistics.median(pandas_seconds):.3f} | 1 |")
    for name, seconds in (("kd, cold", cold_seconds), ("kd, warm", warm_seconds)):
        ratios = [kd / other for kd, other in zip(seconds, pandas_seconds, strict=True)]
        span = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"
        print(f"| {name} | {statistics.median(seconds):.3f} | {span} |")
    slower = _median_ratio(cold_seconds, pandas_seconds)
    faster = _median_ratio(cold_seconds, warm_seconds)
    # It also checks every cell, hashes the file and saves the cache, once for each file.
    fast = slower <= MOST_TIMES_PANDAS
    print(
        f"\ncold at most {MOST_TIMES_PANDAS} times as long as pandas: "
        f"{'yes' if fast else 'NO'} ({slower:.2f})"
    )
    print(
        f"warm at least 8 times faster than cold: {'yes' if faster >= 8 else 'NO'} ({faster:.0f})"
    )
    return 0 if fast and faster >= 8 else 1


def _median_ratio(numerators: list[float], denominators: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def _make_file(path: Path, data: Path | None, archive: Path | None) -> str:
    """Write a train.csv to ``path``; return its description."""
    if data is not None:
        shutil.copyfile(data / "train.csv", path)
        return "train.csv of a data folder"
    if archive is not None:
        with zipfile.ZipFile(archive) as opened, opened.open("train.csv") as source:
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
    return f"a synthetic train.csv of {ROWS:,} rows"


def _read(code: str, path: Path) -> tuple[float, tuple[str, ...]]:
    """Return the seconds of one read, and its number of rows, sum of pixels and sum of labels."""
    done = subprocess.run(
        [sys.executable, "-c", code + PRINT, str(path)], check=True, capture_output=True, text=True
    )
    seconds, *sums = done.stdout.split()
    return float(seconds), tuple(sums)


if __name__ == "__main__":
    sys.exit(main())
