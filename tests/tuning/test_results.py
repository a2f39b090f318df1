"""Tests of kaggle_digits.tuning.results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from PIL import Image

from kaggle_digits.plots import style
from kaggle_digits.training.recipes import find_recipe
from kaggle_digits.tuning.results import SearchResult, save_plots, selection_bias_note, write_recipe


def test_recipe_file_says_how_far_to_trust_it(result: SearchResult, tmp_path: Path) -> None:
    own = write_recipe(result)
    assert find_recipe(str(own)) == result.recipe
    note = json.loads(own.read_text())["note"]
    assert "best of 12 trials on the same rows" in note
    assert "another `seed`" in note
    one = replace(result, trials=result.trials[:1])
    assert selection_bias_note(one).startswith("There was only one trial")
    mine = tmp_path / "mine.json"
    assert write_recipe(result, mine) == mine
    assert write_recipe(result, mine) == mine
    assert list(tmp_path.iterdir()) == [mine]
    mine.write_text("my own")
    write_recipe(result, mine)
    assert (tmp_path / "mine-old-1.json").read_text() == "my own"
    assert find_recipe(str(mine)) == result.recipe


def test_plots_leave_matplotlib_unchanged(result: SearchResult) -> None:
    before = dict(mpl.rcParams)
    plots = save_plots(result)
    assert [plot.name for plot in plots] == ["importance.png", "slice.png"]
    for plot in plots:
        with Image.open(plot) as image:
            assert image.width > 4 * style.DPI
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()
