"""kd recipes: list the named recipes."""

from __future__ import annotations

from kaggle_digits.cli import console
from kaggle_digits.cli.options import AsJson


def recipes(as_json: AsJson = False) -> None:
    """List the named recipes, their settings and what they were measured to be worth."""
    from kaggle_digits.training.recipes import RECIPES, benchmark_results

    figures = benchmark_results()
    if as_json:
        console.print_json(
            {
                name: {**recipe.to_json(), "measured": figures.get(name)}
                for name, recipe in RECIPES.items()
            }
        )
        return
    from rich.table import Table

    table = Table()
    shown = ("model", "epochs", "batch_size", "optimizer", "learning_rate")
    for column in ("recipe", *shown):
        table.add_column(column.replace("_", " "))
    for column in ("accuracy (95 % interval)", "seconds"):
        table.add_column(column, justify="right")
    for name, recipe in RECIPES.items():
        found = figures.get(name)
        worth = ("–", "–")
        if found:
            accuracy = console.percent(found["first"], found["first_ci95"])
            worth = (accuracy, f"{found['seconds']:.0f}")
        for number, design in enumerate(recipe.recipes):
            settings = [str(getattr(design, column)) for column in shown]
            table.add_row("" if number else name, *settings, *(("", "") if number else worth))
    console.print_table(table)
    places = {f"{f['machine']}, {f['n_val']:,} rows held out, seed {f['first_seed']}"
              for f in figures.values()}  # fmt: skip
    for place in sorted(places):
        console.note(f"measured on {place}; another machine takes other seconds")
