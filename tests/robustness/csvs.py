"""Malformed CSV files for the readers of train.csv, test.csv and submissions.

Each file must give exactly the numbers that a second, slow reader finds, or be refused in one
line that names the file and, if there is one, the line and column.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.robustness.csv_cases import FORMS, files, judge
from tests.robustness.report import Row

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
