"""Long runs: 200 trainings in one process, 2,000 pictures read; what memory is held afterwards.

The process measures itself (``python -m benchmarks.torture.memory FOLDER trainings 200``), so that
nothing else is in the figures.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.torture.kd import REPOSITORY, environment
from benchmarks.torture.kd import run as run_kd
from benchmarks.torture.rows import Row

if TYPE_CHECKING:
    from kaggle_digits.training.recipe import Recipe

TRAININGS, PICTURES, WARM_UP = 200, 2_000, 20
MOST_GROWTH = 0.10


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Rows of the part ``memory``."""
    for what, often in (("trainings", TRAININGS), ("pictures", PICTURES)):
        times = max(2 * WARM_UP, often // 10) if quick else often
        command = [sys.executable, "-m", "benchmarks.torture.memory", str(work), what, str(times)]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment(work / "home"),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            yield Row("memory", what, times, 1, done.stderr.strip()[-300:])
            continue
        megabytes = json.loads(done.stdout)
        # Medians: the kernel takes pages of libraries away, and brings them back, as it likes.
        first = statistics.median(megabytes[WARM_UP - 5 : WARM_UP + 5])
        last = statistics.median(megabytes[-10:])
        growth = last / first - 1
        most = max(megabytes[WARM_UP:]) / first - 1
        tried = {
            "trainings": f"{times} trainings of the sample in one process (dense, softmax, mlp)",
            "pictures": f"{times:,} pictures read in one process (LiteRT)",
        }[what]
        yield Row(
            "memory",
            tried,
            times,
            int(growth > MOST_GROWTH),
            f"{first:.0f} MB after {WARM_UP}, {last:.0f} MB at the end: {100 * growth:+.1f} % "
            f"(at most {100 * most:+.1f} %)",
        )


def measure(once: Callable[[int], None], times: int) -> list[float]:
    """MB that this process holds after each call: its own pages and its share of others' (PSS)."""
    import psutil

    process, found = psutil.Process(), []
    for number in range(times):
        once(number)
        gc.collect()
        memory = process.memory_full_info()
        found.append(getattr(memory, "pss", memory.rss) / 2**20)
    return found


def trainings(folder: Path) -> Callable[[int], None]:
    """Train a small model each time, of three kinds in turn, as kd train does."""
    from kaggle_digits.competition.sources import fetch
    from kaggle_digits.data.folder import load
    from kaggle_digits.data.split import Split
    from kaggle_digits.training.run import train

    fetch("sample", folder / "data")
    dataset, recipes = load(folder / "data"), _recipes()

    def once(number: int) -> None:
        recipe = recipes[number % len(recipes)]
        with tempfile.TemporaryDirectory(dir=folder) as runs:
            train(dataset, recipe, Split(seed=number), runs_dir=runs)

    return once


def pictures(folder: Path) -> Callable[[int], None]:
    """Read a picture each time, of another size, with a network for LiteRT."""
    from PIL import Image

    from kaggle_digits.data.folder import load
    from kaggle_digits.reading.classify import read_picture
    from kaggle_digits.reading.reader import open_reader

    for words in (("fetch", "--source", "sample"), ("train", "--model", "dense", "--epochs", "1")):
        done = run_kd(words, folder, environment(folder / "home"))  # no TensorFlow in this process
        assert done.code == 0, done.stderr
    images = load(folder / "data").test.images
    reader = open_reader(folder / "runs")

    def once(number: int) -> None:
        image = Image.fromarray(255 - images[number % len(images)])
        read_picture(reader, image.resize((40 + number % 300, 40 + number % 200)))

    return once


def _recipes() -> list[Recipe]:
    from kaggle_digits.training.recipe import Recipe

    return [
        Recipe("dense", widths=(16,), epochs=1),
        Recipe("softmax", epochs=1),
        Recipe("mlp", widths=(16,), epochs=1),
    ]


def main() -> int:
    """Measure one of them in the folder given; print the MB after each call."""
    folder, what, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    once = {"trainings": trainings, "pictures": pictures}[what](folder)
    print(json.dumps(np.round(measure(once, times), 2).tolist()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
