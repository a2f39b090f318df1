"""One part of the torture, in whatever process it is called in."""

from __future__ import annotations

import importlib
import tempfile
import time
from pathlib import Path

from tests.robustness.rows import Row


def one_part(part: str, seed: int, quick: bool) -> list[Row]:
    """The rows of one part, printed as they come."""
    began, rows = time.monotonic(), []
    module = importlib.import_module(f"tests.robustness.{part}")
    with tempfile.TemporaryDirectory(prefix="torture") as work:
        for row in module.torture(Path(work), seed, quick):
            rows.append(row)
            print(
                f"{part}: {row.tried}: {row.times:,} tries, {row.bad} bad. {row.figures}",
                flush=True,
            )
    print(f"{part}: {time.monotonic() - began:.0f} s\n", flush=True)
    return rows
