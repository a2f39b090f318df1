"""Every part, one after another, into one table.

    python -m benchmarks.torture [PART …] [--quick] [--seed N]

Exit code 1 where anything was lost, let in or not explained.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.torture.rows import Row, markdown
from kaggle_digits.machine import machine, versions

# Modules of this package; each has torture(work: Path, seed: int, quick: bool) -> Iterator[Row].
PARTS = ("wire", "secrets", "kills", "disks", "crowd", "csvs", "fuzz", "files", "app", "memory")


def main() -> int:
    """Print rows as they come, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--seed", type=int, default=0, help="of every random moment and case")
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    print(f"seed {given.seed}\n{machine()}\n{versions()}\n", flush=True)
    rows: list[Row] = []
    started = time.monotonic()
    for part in given.parts or PARTS:
        begun = time.monotonic()
        module = importlib.import_module(f"benchmarks.torture.{part}")
        with tempfile.TemporaryDirectory(prefix="torture") as work:
            for row in module.torture(Path(work), given.seed, given.quick):
                rows.append(row)
                print(
                    f"{part}: {row.tried}: {row.times:,} tries, {row.bad} bad. {row.figures}",
                    flush=True,
                )
        print(f"{part}: {time.monotonic() - begun:.0f} s\n", flush=True)
    print(f"{markdown(rows)} in {time.monotonic() - started:.0f} s")
    return int(any(row.bad for row in rows))


if __name__ == "__main__":
    sys.exit(main())
