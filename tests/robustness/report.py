"""Results of the robustness suite: one row per kind of case."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """The result of one kind of case.

    Attributes:
        part: name of the part, such as ``disks``.
        tried: short description, such as ``train.csv dropped at a random byte``.
        times: number of cases.
        bad: number of cases with a wrong result: something lost, half written, sent twice, let in,
            not explained, or too slow.
        measured: other measurements in a few words; may be empty.
    """

    part: str
    tried: str
    times: int
    bad: int
    measured: str = ""


def markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table with a summary line."""
    lines = [
        "| part | what was tried | times | bad | measured |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {r.part} | {r.tried} | {r.times:,} | {r.bad} | {r.measured} |" for r in rows]
    times, bad = sum(row.times for row in rows), sum(row.bad for row in rows)
    return "\n".join([*lines, f"\n{times:,} tries, {bad} of them bad"])


def run_part(part: str, seed: int, quick: bool) -> list[Row]:
    """Run one part in this process, print its rows as they come, and return them."""
    import resource  # not on Windows, where the tests need the other names of this module

    started, rows = time.monotonic(), []
    os.environ["OMP_NUM_THREADS"] = "1"  # two parts run at the same time
    module = importlib.import_module(f"tests.robustness.{part}")
    with tempfile.TemporaryDirectory(prefix="torture") as work:
        for row in module.torture(Path(work), seed, quick):
            rows.append(row)
            print(
                f"{part}: {row.tried}: {row.times:,} tries, {row.bad} bad. {row.measured}",
                flush=True,
            )
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(used.ru_utime + used.ru_stime for used in spent)
    print(f"{part}: {time.monotonic() - started:.0f} s, {cpu:.0f} s of CPU time\n", flush=True)
    return rows
