"""Memory after long use: 200 trainings in one process, 2,000 pictures read.

The process measures itself (``python -m tests.robustness.memory FOLDER trainings 200``), so that
nothing else is included.
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

from tests.robustness.kd import REPOSITORY, environment
from tests.robustness.kd import run as run_kd
from tests.robustness.report import Row

if TYPE_CHECKING:
    from kaggle_digits.training.recipe import Recipe

TRAININGS, PICTURES, WARM_UP = 200, 2_000, 20
MOST_GROWTH = 0.10


def torture(work: Path, seed: int, quick: bool) -> Iterator[Row]:
    """Yield the rows of this part."""
    for what, often in (("trainings", TRAININGS), ("pictures", PICTURES)):
        times = max(2 * WARM_UP, often // 10) if quick else often
        command = [sys.executable, "-m", "tests.robustness.memory", str(work), what, str(times)]
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
        # After a third of the pictures, buffers for all sizes are allocated.
        warm_up = WARM_UP if what == "trainings" else times // 3
        first = statistics.median(megabytes[warm_up - 5 : warm_up + 5])
        last = statistics.median(megabytes[-10:])
        growth = last / first - 1
        most = max(megabytes[warm_up:]) / first - 1
        tried = {
            "trainings": f"{times} trainings of the sample in one process (dense, softmax, mlp)",
            "pictures": f"{times:,} pictures read in one process (LiteRT)",
        }[what]
        yield Row(
            "memory",
            tried,
            times,
            int(growth > MOST_GROWTH),
            f"{first:.0f} MB after {warm_up}, {last:.0f} MB at the end: {100 * growth:+.1f} % "
            f"(at most {100 * most:+.1f} %)",
        )


def measure(once: Callable[[int], None], times: int) -> list[float]:
    """Return the MB that this process holds after each call."""
    found: list[float] = []
    gc.freeze()  # so that collecting does not take longer than a picture
    for number in range(times):
        once(number)
        gc.collect()
        found.append(_held())
    return found


def _held() -> float:
    """Return the MB of private memory, without the shared pages of libraries.

    The share of shared pages depends on other processes, and the kernel may drop them for a
    while.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
    except (OSError, StopIteration):
        import psutil

        return float(psutil.Process().memory_info().rss) / 2**20


def trainings(folder: Path) -> Callable[[int], None]:
    """Train small models of three kinds in turn, as kd train does."""
    from kaggle_digits.data.dataset import load
    from kaggle_digits.data.splits import Split
    from kaggle_digits.sources.fetch import fetch
    from kaggle_digits.training.train import train

    fetch("sample", folder / "data")
    dataset, recipes = load(folder / "data"), _recipes()

    def once(number: int) -> None:
        recipe = recipes[number % len(recipes)]
        with tempfile.TemporaryDirectory(dir=folder) as runs:
            train(dataset, recipe, Split(seed=number), runs_dir=runs)

    return once


def pictures(folder: Path) -> Callable[[int], None]:
    """Read pictures of different sizes with a LiteRT model."""
    from PIL import Image

    from kaggle_digits.data.dataset import load
    from kaggle_digits.inference.predictor import classify_picture, load_predictor

    for words in (("fetch", "--source", "sample"), ("train", "--model", "dense", "--epochs", "1")):
        done = run_kd(words, folder, environment(folder / "home"))  # no TensorFlow in this process
        assert done.code == 0, done.stderr
    images = load(folder / "data").test.images
    reader = load_predictor(folder / "runs")

    def once(number: int) -> None:
        image = Image.fromarray(255 - images[number % len(images)])
        width, height = 40 + 37 * number % 300, 40 + 53 * number % 200
        classify_picture(reader, image.resize((width, height)))

    return once


def _recipes() -> list[Recipe]:
    from kaggle_digits.training.recipe import Recipe

    return [
        Recipe("dense", widths=(16,), epochs=1),
        Recipe("softmax", epochs=1),
        Recipe("mlp", widths=(16,), epochs=1),
    ]


def main() -> int:
    """Run one measurement in the given folder and print the MB after each call."""
    folder, what, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    once = {"trainings": trainings, "pictures": pictures}[what](folder)
    print(json.dumps(np.round(measure(once, times), 2).tolist()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
