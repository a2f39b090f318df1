"""kd recipes: list the named recipes."""

from kaggle_digits.cli import console, options

COLUMNS = {
    **{"recipe": "", "model": "", "epochs": ">", "batch\nsize": ">"},
    **{"accuracy\n(95 % interval)": ">", "seconds": ".0f"},
}


def recipes(as_json: options.AsJson = False) -> None:
    """List the named recipes with their settings and measured accuracy."""
    from kaggle_digits.training.recipes import RECIPES, benchmark_results

    benchmarks = benchmark_results()
    if as_json:
        measured = {name: {"measured": benchmarks.get(name)} for name in RECIPES}
        console.print_json({name: RECIPES[name].to_json() | measured[name] for name in RECIPES})
        return
    rows: list[list[object]] = []
    for name, recipe in RECIPES.items():
        benchmark = benchmarks.get(name)
        first: list[object] = [name]
        results: list[object] = [None, None]
        if benchmark:
            accuracy = console.percent(benchmark["first"], benchmark["first_ci95"])
            results = [accuracy, benchmark["seconds"]]
        for each in recipe.recipes:  # an ensemble has a row for each of its models
            rows.append([*first, each.model, each.epochs, each.batch_size, *results])
            first, results = [""], ["", ""]
    console.show_table(COLUMNS, rows)
    conditions = {
        (each["machine"], each["n_val"], each["first_seed"]) for each in benchmarks.values()
    }
    for machine, n_val, seed in sorted(conditions):
        console.note(
            f"measured on {machine}, {n_val:,} validation rows, seed {seed}; the seconds depend on "
            "the machine"
        )
    console.note("all settings: kd recipes --json; train one: kd train --recipe NAME")
