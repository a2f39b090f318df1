"""Every part, in a process of its own, into one table.

    python -m tests.robustness [PART …] [--quick] [--seed N]

Two at a time, since most of them wait for half of it; the one whose seconds are told, alone.

Exit code 1 where anything was lost, let in or not explained.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from kaggle_digits.core.environment import hardware, versions
from tests.robustness.part import one_part
from tests.robustness.rows import Row, markdown

# Modules of this package; each has torture(work: Path, seed: int, quick: bool) -> Iterator[Row].
# The longest first, so that the last two end together.
TOGETHER = ("kills", "disks", "secrets", "wire", "memory", "files", "crowd", "fuzz", "csvs")
ALONE = ("app",)
PARTS, AT_ONCE = TOGETHER + ALONE, 2


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
    print(f"seed {given.seed}\n{hardware()}\n{versions()}\n", flush=True)
    started = time.monotonic()
    rows: list[Row] = []
    for parts, at_once in ((TOGETHER, AT_ONCE), (ALONE, 1)):
        # Each part begins in a fresh process: what one leaves behind is none of another's.
        with ProcessPoolExecutor(
            at_once, multiprocessing.get_context("spawn"), max_tasks_per_child=1
        ) as pool:
            asked = [
                pool.submit(one_part, part, given.seed, given.quick)
                for part in parts
                if part in (given.parts or PARTS)
            ]
            rows += [row for found in asked for row in found.result()]
    print(f"{markdown(rows)} in {time.monotonic() - started:.0f} s")
    return int(any(row.bad for row in rows))


if __name__ == "__main__":
    sys.exit(main())
