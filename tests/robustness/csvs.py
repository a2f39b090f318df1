"""Malformed CSV files for the readers of train.csv, test.csv and submissions.

Each file must give exactly the numbers that a second, slow reader finds, or be refused in one
line that names the file and, if there is one, the line and column. A damaged cache of the parsed
numbers must not be used.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from kaggle_digits.data import digits
from kaggle_digits.data.digits import TRAIN_COLUMNS
from tests.robustness.csv_cases import FORMS, files, judge
from tests.robustness.report import Row
from tests.support.competition_files import csv_bytes

PART = "csvs"
# Wide files cost more time.
CASES = {
    "train.csv": 2_400,
    "test.csv": 2_400,
    "sample_submission.csv": 2_400,
    "submission.csv": 3_200,
}


def torture(work: Path, seed_: int, quick: bool) -> Iterator[Row]:
    """Yield a row per kind of file."""
    for name, cases in CASES.items():
        yield run(name, cases // (10 if quick else 1), seed_, work / name)
    yield damaged_caches(work / "cache", random.Random(seed_), 60 if quick else 600)


def damaged_caches(folder: Path, chance: random.Random, times: int) -> Row:
    """Damage the cache of train.csv in many ways; the numbers must be those of the file."""
    folder.mkdir()
    path = folder / "train.csv"
    table = np.random.default_rng(0).integers(0, 10, (20, 785), dtype=np.uint8)
    path.write_bytes(csv_bytes(TRAIN_COLUMNS, table))
    os.utime(path, (1, 1))
    digits.SETTLED_SECONDS = 0.0  # so that the cache is used without reading the file
    bad = []
    for number in range(times):
        digits.read_train(path)
        (cache,) = (folder / digits.CACHE_FOLDER).iterdir()
        content = bytearray(cache.read_bytes())
        start = chance.randrange(len(content))
        end = chance.randrange(start, len(content)) + 1
        kind = number % 4
        if kind == 0:
            content[start:] = bytes(len(content) - start)
        elif kind == 1:
            del content[start:end]
        elif kind == 2:
            content[start:end] = chance.randbytes(end - start)
        else:
            content[start] ^= 1 << chance.randrange(8)
        cache.write_bytes(content)
        found = digits.read_train(path)
        assert found.labels is not None
        flat = found.images.reshape(-1, 784)
        if not np.array_equal(np.column_stack([found.labels, flat]), table):
            bad.append(f"bytes {start} to {end}, kind {kind}")
    return Row(PART, "damaged caches of train.csv", times, len(bad), "; ".join(bad[:3]))


def run(name: str, cases: int, seed_: int, path: Path) -> Row:
    """Try ``times`` files of one kind."""
    form = FORMS[name]
    outcomes = {True: 0, False: 0}

    @seed(seed_)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(content=files(form))
    def every(content: bytes) -> None:
        outcomes[judge(form, content, path)] += 1

    begun, wrong = time.monotonic(), ""
    try:
        every()
    except Exception as error:
        notes = " ".join(getattr(error, "__notes__", []))
        wrong = f"; first: {type(error).__name__}: {error} {notes}"[:600].replace("\n", " ")
    seconds = time.monotonic() - begun
    told = f"{outcomes[True]:,} read exactly, {outcomes[False]:,} refused, {seconds:.0f} s{wrong}"
    return Row(PART, f"{name} malformed", sum(outcomes.values()), int(bool(wrong)), told)
