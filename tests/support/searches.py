"""A small search, in this process or in another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kaggle_digits.data.splits import Split
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.search_space import make_search_space

SMALL = Recipe("mlp", widths=(8,), epochs=3, batch_size=16, learning_rate=1e-2)
RATES = make_search_space(SMALL, ["learning_rate=0.0001:0.1:log"])
SPLIT = Split("folds", folds=2, rows=200)

# Arguments: data folder, runs folder, number of trials, pause in seconds, first trial with a pause.
_PROCESS = """
import sys, time
from kaggle_digits.data.dataset import load
from kaggle_digits.tuning.search import search
from kaggle_digits.tuning.results import TrialCallback
from tests.support.searches import RATES, SMALL, SPLIT

class Pause(TrialCallback):
    def on_trial_begin(self, number, values, folds):
        print(number, flush=True)
        time.sleep(float(sys.argv[4]) if number >= int(sys.argv[5]) else 0)

search(load(sys.argv[1]), SMALL, RATES, SPLIT, trials=int(sys.argv[3]), runs_dir=sys.argv[2],
       callback=Pause())
"""


def start_search(
    data_dir: Path, runs_dir: Path, trials: int, pause: float, first_pause: int
) -> subprocess.Popen[str]:
    """Start a search that prints each trial's number and pauses in it from ``first_pause`` on."""
    arguments = [str(data_dir), str(runs_dir), str(trials), str(pause), str(first_pause)]
    return subprocess.Popen(
        [sys.executable, "-c", _PROCESS, *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
