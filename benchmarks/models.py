"""Measure every recipe on the competition's rows: accuracy with interval, seconds, peak memory.

    python -m benchmarks.models --data data --seeds 2 --write

Settings were chosen on the hold-outs of seeds 0 and 1 (benchmarks/research.md), so the
measurements use seeds from 10 on; the settings of ``strong`` and ``best`` were chosen out of fold
on all rows. Each training is a process of its own, to measure its peak memory. ``--write`` saves
the results for `kd recipes`; the printed table is the one in docs/models.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.runs.run import Run
from kaggle_digits.training.recipe import recipe_from_json
from kaggle_digits.training.recipes import (
    BENCHMARK_RESULTS,
    MODEL_RECIPES,
    RECIPES,
    benchmark_results,
)

FIRST_SEED = 10
HEAD = "| recipe | mean of seeds (spread) | one seed (95 % interval) | seconds | peak MB |"


def main() -> None:
    """Train each recipe and print its row of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="a folder filled by kd fetch"
    )
    parser.add_argument("--recipes", nargs="*", default=list(MODEL_RECIPES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument(
        "--run",
        type=Path,
        help="use this finished run of one recipe (first seed) instead",
    )
    parser.add_argument("--table", action="store_true", help="print the saved results only")
    arguments = parser.parse_args()
    if arguments.table:
        print("\n".join([HEAD, f"|{' --- |' * 5}", *table()]))
        return
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    print(f"{hardware()}\n{versions()}\n\n{HEAD}\n|{' --- |' * 5}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        for recipe in arguments.recipes:
            if arguments.run:
                runs = [_finished(recipe, arguments.run)]
            else:
                runs = [train_once(recipe, seed, arguments.data, work) for seed in seeds]
            result = _summary(runs)
            print(_row(recipe, result), flush=True)
            if arguments.write:
                write_json(BENCHMARK_RESULTS, {**benchmark_results(), recipe: result})


def table() -> list[str]:
    """Return the rows of the table in docs/models.md, from the saved results."""
    return [_row(name, result) for name, result in benchmark_results().items()]


def train_once(
    recipe: str, seed: int, data: Path, work: str, options: Sequence[str] = ()
) -> dict[str, Any]:
    """Train in a new process in the folder ``work``; return the JSON of kd train."""
    command = [sys.executable, "-m", "kaggle_digits", "train", "--recipe", recipe]
    always = ["--seed", str(seed), "--json", "--data-dir", str(data.absolute())]
    done = subprocess.run([*command, *always, *options], cwd=work, check=True, capture_output=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _finished(recipe: str, folder: Path) -> dict[str, Any]:
    """Return the metrics of an existing run of ``recipe`` with the first seed."""
    run = Run(folder)
    config = run.config()
    if recipe_from_json(config["recipe"]) != RECIPES[recipe] or config["seed"] != FIRST_SEED:
        sys.exit(f"{folder} is not a run of recipe {recipe} with --seed {FIRST_SEED}")
    return run.metrics()


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    accuracies = [run["val_accuracy"] for run in runs]
    return {
        "accuracy": statistics.mean(accuracies),
        "spread": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "seeds": len(runs),
        "first_seed": FIRST_SEED,
        "first": accuracies[0],
        "first_ci95": runs[0]["val_accuracy_ci95"],
        "n_val": runs[0]["n_val"],
        "seconds": statistics.median(run["train_seconds"] for run in runs),
        "peak_memory_mb": max(run["peak_memory_mb"] for run in runs),
        "machine": f"{hardware()['processor']}, {hardware()['cores']} cores",
        "date": date.today().isoformat(),
    }


def _row(recipe: str, result: dict[str, Any]) -> str:
    low, high = result["first_ci95"]
    mean = "–"
    if result["spread"] is not None:
        spread = f"± {100 * result['spread']:.2f}, n = {result['seeds']}"
        mean = f"{100 * result['accuracy']:.2f} % ({spread})"
    return (
        f"| `{recipe}` | {mean} "
        f"| {100 * result['first']:.2f} % ({100 * low:.2f}–{100 * high:.2f}) "
        f"| {result['seconds']:.0f} | {result['peak_memory_mb']:,.0f} |"
    )


if __name__ == "__main__":
    main()
