"""kd recipes: list the named recipes."""

from __future__ import annotations

from kaggle_digits.cli import console, options

SETTINGS = ("model", "epochs", "batch_size")
RESULTS = ("accuracy\n(95 % interval)", "seconds")


def recipes(as_json: options.AsJson = False) -> None:
    """List the named recipes with their settings and measured accuracy."""
    from kaggle_digits.training.recipes import RECIPES, benchmark_results

    benchmarks = benchmark_results()
    if as_json:
        console.print_json(
            {
                name: {**recipe.to_json(), "measured": benchmarks.get(name)}
                for name, recipe in RECIPES.items()
            }
        )
        return
    rows: list[list[object]] = []
    for name, recipe in RECIPES.items():
        benchmark = benchmarks.get(name)
        first: list[object] = [name]
        results: list[object] = [None, None]
        if benchmark:
            accuracy = console.percent(benchmark["first"], benchmark["first_ci95"])
            results = [accuracy, f"{benchmark['seconds']:.0f}"]
        for each in recipe.recipes:  # an ensemble has a row for each of its models
            rows.append([*first, *(getattr(each, name) for name in SETTINGS), *results])
            first, results = [""], ["", ""]
    headings = [setting.replace("_", "\n") for setting in SETTINGS]
    console.show_table(
        ("recipe", *headings, *RESULTS), rows, numeric=("epochs", "batch\nsize", *RESULTS)
    )
    conditions = {
        f"{benchmark['machine']}, {benchmark['n_val']:,} validation rows, seed "
        f"{benchmark['first_seed']}"
        for benchmark in benchmarks.values()
    }
    for condition in sorted(conditions):
        console.note(f"measured on {condition}; the seconds depend on the machine")
    console.note("all settings: kd recipes --json; train one: kd train --recipe NAME")
