"""Run every part of the robustness suite and print one table.

    python -m tests.robustness [PART …] [--quick] [--seed N]

Each part runs in a fresh process, two at a time because most parts wait half of the time. Parts
that measure response times run alone. The exit code is 1 if anything was lost, let in or left
unexplained.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from kaggle_digits.core.environment import hardware, versions
from tests.robustness.report import Row, markdown, run_part

# Modules of this package; each has torture(work: Path, seed: int, quick: bool) -> Iterator[Row].
# The longest parts come first, so that the last two end at about the same time.
PARALLEL_PARTS = (
    "other_tools",
    "disks",
    "kills",
    "secrets",
    "network_faults",
    "memory",
    "files",
    "fuzz",
    "concurrency",
    "file_integrity",
    "csvs",
)
SERIAL_PARTS = ("app",)
PARTS, MAX_PARALLEL = PARALLEL_PARTS + SERIAL_PARTS, 2


def main() -> int:
    """Run the parts, print each row as it is finished, then the whole table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="about a tenth of all cases")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random choices")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from: {', '.join(PARTS)}")
    print(f"seed {arguments.seed}\n{hardware()}\n{versions()}\n", flush=True)
    started = time.monotonic()
    rows: list[Row] = []
    for parts, workers in ((PARALLEL_PARTS, MAX_PARALLEL), (SERIAL_PARTS, 1)):
        # A fresh process per part, so that no part influences another.
        with ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), max_tasks_per_child=1
        ) as pool:
            futures = [
                pool.submit(run_part, part, arguments.seed, arguments.quick)
                for part in parts
                if part in (arguments.parts or PARTS)
            ]
            rows += [row for future in futures for row in future.result()]
    print(f"{markdown(rows)} in {time.monotonic() - started:.0f} s")
    return int(any(row.bad for row in rows))


if __name__ == "__main__":
    sys.exit(main())
