"""Compare our recipes with the baselines in one run: one table, one plot.

    python -m benchmarks.side_by_side --data data            (fast against peer-keras: minutes)
    python -m benchmarks.side_by_side --data data --full     (all, the ensemble too: hours)

Every training runs in its own process. Each round has one seed and trains all recipes one after
the other; ratios of seconds are computed within a round, and their median is reported. Single
networks train on nine tenths of the rows and are evaluated on the rest. The seeds were not used for
any choice, except that the settings of ``strong`` and ``best`` were chosen out of fold on all rows.
``best`` is trained once, on its own folds, and evaluated out of fold.
``--keep FOLDER`` saves each result, so that a stopped run continues; ``--write`` writes table and
plot to docs/.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.models import FIRST_SEED, train_once
from kaggle_digits.core.atomic_io import write_json, write_text
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.metrics.scores import wilson_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOCS = Path(__file__).parents[1] / "docs"
PICTURE, TABLE = "accuracy-against-seconds.png", "side-by-side.md"


@dataclass(frozen=True)
class Target:
    """The accuracy and time that recipe ``ours`` should reach.

    Attributes:
        ours, baseline: names of recipes.
        accuracy: smallest accuracy.
        share: largest ratio of its seconds to those of ``times`` trainings of the baseline.
    """

    ours: str
    baseline: str
    accuracy: float
    share: float
    times: int = 1


# The baseline of the ensemble has 15 networks: one is trained, and its seconds count 15 times.
TARGETS = (
    Target("fast", "peer-keras", 0.990, 1 / 10),
    Target("strong", "peer-notebook", 0.9966, 1 / 3),
    Target("best", "peer-notebook", 0.9976, 1 / 8, times=15),
)
QUICK = ("fast", "peer-keras")
FULL = ("fast", "peer-keras", "strong", "peer-notebook", "best")
ONCE = ("best",)

LF = "\n"

# recipe → the JSON of `kd train --json`, one per seed
Results = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Train the recipes, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--full", action="store_true", help="all recipes; takes hours")
    parser.add_argument("--recipes", nargs="*", help="only these recipes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="train on this many rows only, as a test")
    parser.add_argument("--keep", type=Path, help="folder for the results so far")
    parser.add_argument("--write", action="store_true", help="write table and plot to docs/")
    arguments = parser.parse_args()
    recipes = arguments.recipes or (FULL if arguments.full else QUICK)
    with tempfile.TemporaryDirectory() as work:
        keep = arguments.keep or Path(work)
        results = measure(recipes, arguments.seeds, arguments.data, keep, arguments.rows)
    print("\n".join([*table(results), "", *target_lines(results)]))
    if arguments.write:
        from kaggle_digits.plots import style

        write_text(DOCS / TABLE, page(results))
        style.save(draw(results), DOCS / PICTURE)


def measure(
    recipes: tuple[str, ...], seeds: int, data: Path, keep: Path, rows: int | None = None
) -> Results:
    """Train every recipe with every seed in turns, continuing from the results in ``keep``."""
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / "measured.json"
    results: Results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    options = ["--rows", str(rows)] if rows else []
    for turn in range(seeds):
        for recipe in recipes:
            done = results.setdefault(recipe, [])
            if len(done) > turn or (recipe in ONCE and done):
                continue
            with tempfile.TemporaryDirectory() as work:
                done.append(train_once(recipe, FIRST_SEED + turn, data, work, options))
            write_json(path, results)
            print(f"{recipe}, seed {FIRST_SEED + turn}: {done[-1]['train_seconds']} s", flush=True)
    return results


def page(results: Results) -> str:
    """Return docs/side-by-side.md: hardware, plot, table, targets and notes."""
    here = hardware()
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"""# Our recipes and the baselines, side by side

Written by `python -m benchmarks.side_by_side --write` on {date.today():%Y-%m-%d}.
{here["processor"]}, {here["cores"]} cores, {here["memory_gb"]:.0f} GB; {packages}.

![Error rate against training seconds]({PICTURE})

{LF.join(table(results))}

{LF.join(target_lines(results))}

Single networks were trained on nine tenths of the labelled rows and evaluated on the other tenth,
the same rows for all recipes of one seed. `best` is evaluated out of fold on all rows, with one
network of each architecture per row. The settings of `strong` and `best` were chosen out of fold on
these rows. MB are the peak of one process; `best` uses one process per core. Overlapping intervals
prove little. The machine was shared: trust the ratios, which compare trainings of one round.
"""


def table(results: Results) -> list[str]:
    """Return a Markdown table with one row per recipe."""
    lines = [
        "| recipe | accuracy, mean of seeds (spread) | rows (95 % interval) | seconds | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recipe, runs in results.items():
        accuracy = [run["val_accuracy"] for run in runs]
        low, high = _interval(runs)
        spread = f" (± {statistics.stdev(accuracy):.4f}, n = {len(runs)})" if runs[1:] else ""
        seconds = statistics.median(run["train_seconds"] for run in runs)
        memory = max(run["peak_memory_mb"] for run in runs)
        lines.append(
            f"| `{recipe}` | {statistics.mean(accuracy):.4f}{spread} "
            f"| {runs[0]['n_val']:,} × {len(runs)} ({low:.4f}–{high:.4f}) "
            f"| {seconds:,.1f} | {memory:,.0f} |"
        )
    return lines


def target_lines(results: Results) -> list[str]:
    """Return one line per target whose two recipes were trained."""
    lines = []
    for target in TARGETS:
        ours, baseline = results.get(target.ours), results.get(target.baseline)
        if not ours or not baseline:
            continue
        accuracy = statistics.mean(run["val_accuracy"] for run in ours)
        ratio = statistics.median(
            one["train_seconds"] / (target.times * other["train_seconds"])
            for one, other in zip(ours, baseline, strict=False)
        )
        met = accuracy >= target.accuracy and ratio <= target.share
        times = f"{target.times} × " if target.times > 1 else ""
        lines.append(
            f"- `{target.ours}` against {times}`{target.baseline}`: target {target.accuracy} in "
            f"at most {target.share:.3f} of the time; measured {accuracy:.4f} in {ratio:.3f}: "
            f"{'met' if met else 'MISSED'}"
        )
    return lines


def draw(results: Results) -> Figure:
    """Plot the error rate against the training seconds on logarithmic axes."""
    from matplotlib.ticker import LogLocator, NullLocator

    from kaggle_digits.plots import style

    @style.styled
    def plot() -> Figure:
        figure = style.new_figure(
            7.2,
            4.6,
            "Error rate against training time",
            "Mean over seeds; whiskers: 95 % interval over all validation rows. "
            f"{hardware()['processor']}, {hardware()['cores']} cores.",
        )
        axes = figure.add_subplot()
        for recipe, runs in results.items():
            is_baseline = recipe.startswith("peer")
            colour = style.VAL_COLOR if is_baseline else style.TRAIN_COLOR
            error = 100 * (1 - statistics.mean(run["val_accuracy"] for run in runs))
            low, high = _interval(runs)
            seconds = statistics.median(run["train_seconds"] for run in runs)
            whiskers = [[error - 100 * (1 - high)], [100 * (1 - low) - error]]
            axes.errorbar(
                seconds,
                error,
                yerr=whiskers,
                fmt="s" if is_baseline else "o",
                color=colour,
                markersize=8,
                capsize=3,
                linewidth=1.2,
            )
            axes.annotate(
                recipe,
                (seconds, error + whiskers[1][0]),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
                color=colour,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("training time, seconds")
        axes.set_ylabel("validation error, %")
        axes.grid(visible=True, which="major")
        axes.margins(x=0.25, y=0.15)
        for axis, steps in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 2, 3, 5, 7))):
            axis.set_major_locator(LogLocator(subs=steps))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        return figure

    return plot()


def _interval(runs: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy over the rows of all seeds."""
    rows = sum(run["n_val"] for run in runs)
    right = sum(round(run["val_accuracy"] * run["n_val"]) for run in runs)
    return wilson_interval(right, rows)


if __name__ == "__main__":
    main()
