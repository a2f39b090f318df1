"""Ours and the peers side by side in one run: one table, one picture.

    python -m benchmarks.side_by_side --data data            (fast against peer-keras: minutes)
    python -m benchmarks.side_by_side --data data --full     (all, the ensemble too: hours)

Every training is a process of its own. In each round, one seed, all recipes are trained in turn,
so a ratio of seconds compares neighbours; it is taken within a round, and its median is shown.
Single networks train on nine tenths of the rows and are measured on the others; seeds start where
nothing was chosen, but for the settings of ``strong`` and ``best``: out of fold, on all rows.
``best`` is trained once, on its own folds, and measured out of fold.
``--keep FOLDER`` keeps rounds as they are measured, so a stopped run goes on; ``--write`` puts
table and picture into docs/.
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
class Bar:
    """What ``ours`` is asked to be worth.

    Attributes:
        ours, peer: recipes.
        accuracy: at least.
        share: of the seconds of ``times`` trainings of the peer, at most.
    """

    ours: str
    peer: str
    accuracy: float
    share: float
    times: int = 1


# The peer of the ensemble is 15 networks of its kind; one is trained, its seconds count 15 times.
BARS = (
    Bar("fast", "peer-keras", 0.990, 1 / 10),
    Bar("strong", "peer-notebook", 0.9966, 1 / 3),
    Bar("best", "peer-notebook", 0.9976, 1 / 8, times=15),
)
QUICK = ("fast", "peer-keras")
FULL = ("fast", "peer-keras", "strong", "peer-notebook", "best")
ONCE = ("best",)

LF = "\n"

# recipe → what `kd train --json` said, one a seed
Measured = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--full", action="store_true", help="all recipes: hours")
    parser.add_argument("--recipes", nargs="*", help="only these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="train on so many rows: does it run?")
    parser.add_argument("--keep", type=Path, help="a folder for what was measured so far")
    parser.add_argument("--write", action="store_true", help="table and picture into docs/")
    given = parser.parse_args()
    recipes = given.recipes or (FULL if given.full else QUICK)
    with tempfile.TemporaryDirectory() as work:
        keep = given.keep or Path(work)
        found = measure(recipes, given.seeds, given.data, keep, given.rows)
    print("\n".join([*table(found), "", *bars(found)]))
    if given.write:
        from kaggle_digits.plots import style

        write_text(DOCS / TABLE, page(found))
        style.save(draw(found), DOCS / PICTURE)


def measure(
    recipes: tuple[str, ...], seeds: int, data: Path, keep: Path, rows: int | None = None
) -> Measured:
    """Train every recipe with every seed, in turns; goes on with what stands in ``keep``."""
    keep.mkdir(parents=True, exist_ok=True)
    kept = keep / "measured.json"
    found: Measured = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    options = ["--rows", str(rows)] if rows else []
    for turn in range(seeds):
        for recipe in recipes:
            done = found.setdefault(recipe, [])
            if len(done) > turn or (recipe in ONCE and done):
                continue
            with tempfile.TemporaryDirectory() as work:
                done.append(train_once(recipe, FIRST_SEED + turn, data, work, options))
            write_json(kept, found)
            print(f"{recipe}, seed {FIRST_SEED + turn}: {done[-1]['train_seconds']} s", flush=True)
    return found


def page(found: Measured) -> str:
    """What stands in docs/: machine, picture, table, bars, and what the figures do not say."""
    here = hardware()
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"""# Ours and the peers, side by side

Written by `python -m benchmarks.side_by_side --write` on {date.today():%Y-%m-%d}.
{here["processor"]}, {here["cores"]} cores, {here["memory_gb"]:.0f} GB; {packages}.

![Share of rows wrong against seconds of training]({PICTURE})

{LF.join(table(found))}

{LF.join(bars(found))}

Single networks learnt from nine tenths of the labelled rows and were measured on the other tenth,
the same rows for all of one seed; `best` is measured out of fold on all rows, each read by one
network of each design. The settings of `strong` and `best` were chosen out of fold on these rows.
MB are of one process; `best` has one a core. Intervals that overlap prove little. The machine was
shared: trust the ratios, which compare trainings of one round.
"""


def table(found: Measured) -> list[str]:
    """A Markdown table, a row a recipe."""
    lines = [
        "| recipe | accuracy, mean of seeds (spread) | rows (95 % interval) | seconds | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recipe, runs in found.items():
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


def bars(found: Measured) -> list[str]:
    """What was asked and what was measured, a line a bar whose recipes were both trained."""
    lines = []
    for bar in BARS:
        ours, peer = found.get(bar.ours), found.get(bar.peer)
        if not ours or not peer:
            continue
        accuracy = statistics.mean(run["val_accuracy"] for run in ours)
        ratio = statistics.median(
            one["train_seconds"] / (bar.times * other["train_seconds"])
            for one, other in zip(ours, peer, strict=False)
        )
        met = accuracy >= bar.accuracy and ratio <= bar.share
        times = f"{bar.times} × " if bar.times > 1 else ""
        lines.append(
            f"- `{bar.ours}` against {times}`{bar.peer}`: asked {bar.accuracy} in at most "
            f"{bar.share:.3f} of the time; measured {accuracy:.4f} in {ratio:.3f}: "
            f"{'met' if met else 'MISSED'}"
        )
    return lines


def draw(found: Measured) -> Figure:
    """Share of rows wrong against seconds of training, both as powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    from kaggle_digits.plots import style

    @style.styled
    def picture() -> Figure:
        figure = style.new_figure(
            7.2,
            4.6,
            "What a minute of computing buys",
            "Mean over seeds; whiskers: 95 % interval of all rows measured. "
            f"{hardware()['processor']}, {hardware()['cores']} cores.",
        )
        axes = figure.add_subplot()
        for recipe, runs in found.items():
            peer = recipe.startswith("peer")
            colour = style.VAL_COLOR if peer else style.TRAIN_COLOR
            wrong = 100 * (1 - statistics.mean(run["val_accuracy"] for run in runs))
            low, high = _interval(runs)
            seconds = statistics.median(run["train_seconds"] for run in runs)
            whiskers = [[wrong - 100 * (1 - high)], [100 * (1 - low) - wrong]]
            axes.errorbar(
                seconds,
                wrong,
                yerr=whiskers,
                fmt="s" if peer else "o",
                color=colour,
                markersize=8,
                capsize=3,
                linewidth=1.2,
            )
            axes.annotate(
                recipe,
                (seconds, wrong + whiskers[1][0]),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
                color=colour,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("training, seconds")
        axes.set_ylabel("held-out rows wrong, %")
        axes.grid(visible=True, which="major")
        axes.margins(x=0.25, y=0.15)
        for axis, steps in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 2, 3, 5, 7))):
            axis.set_major_locator(LogLocator(subs=steps))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        return figure

    return picture()


def _interval(runs: list[dict[str, Any]]) -> tuple[float, float]:
    """The 95 % interval over all rows that all seeds measured, as shares right."""
    rows = sum(run["n_val"] for run in runs)
    right = sum(round(run["val_accuracy"] * run["n_val"]) for run in runs)
    return wilson_interval(right, rows)


if __name__ == "__main__":
    main()
