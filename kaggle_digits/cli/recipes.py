"""kd recipes: list the named recipes, show one, or write one to edit."""

import shlex
from pathlib import Path

from kaggle_digits.cli import console, options
from kaggle_digits.cli.options import option
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import UsageError
from kaggle_digits.core.output_paths import back_up, check_output
from kaggle_digits.core.text import describe_setting

COLUMNS = {
    **{"recipe": "", "accuracy\n(95 % interval)": ">", "optimizer": "", "learning\nrate": "g"},
    **{"epochs": ",", "batch\nsize": ",", "time": ">", "model": ""},
}


def recipes(
    name: str | None = options.RECIPE,
    *,
    output: Path | None = option("Write the recipe to this JSON file, to edit.", "-o", "--output"),
    force: bool = options.FORCE,
    as_json: bool = options.AS_JSON,
) -> None:
    """List the recipes with their settings and measured accuracy, show one, or write one."""
    from kaggle_digits.models.registry import SKLEARN_MODELS, used_settings
    from kaggle_digits.training.recipes import RECIPES, benchmark_results, find_recipe

    benchmarks = benchmark_results()
    if name is not None:
        recipe = find_recipe(name)
        if output is not None:
            check_output(output, force=force)
            back_up(output)
            write_json(output, recipe.to_json())
            console.echo(f"{output}: written; edit it")
            console.note(f"next: kd train {shlex.quote(str(output))}")
        elif as_json:
            console.print_json(recipe.to_json() | {"measured": benchmarks.get(name)})
        else:
            for each in recipe.recipes:
                used = used_settings(each.to_json())
                texts = [(key, describe_setting(value) or None) for key, value in used.items()]
                console.show_table({"setting": "", "value": ""}, texts, each.model)
            console.note(f"to edit it: kd recipes {name} -o FILE.json; train it: kd train {name}")
        return
    if output is not None:
        raise UsageError("which recipe? kd recipes NAME -o FILE.json")
    if as_json:
        measured = {each: {"measured": benchmarks.get(each)} for each in RECIPES}
        console.print_json({each: RECIPES[each].to_json() | measured[each] for each in RECIPES})
        return
    rows: list[list[object]] = []
    for each_name, each_recipe in RECIPES.items():
        benchmark = benchmarks.get(each_name, {})
        accuracy = console.percent(benchmark.get("first"), benchmark.get("first_ci95"))
        first, seconds = [each_name, accuracy], console.seconds(benchmark.get("seconds"))
        for each in each_recipe.recipes:  # an ensemble has a row for each of its models
            optimizer = None if each.model in SKLEARN_MODELS else each.optimizer
            settings = (optimizer, each.learning_rate, each.epochs, each.batch_size)
            rows.append([*first, *settings, seconds, each.model])
            first, seconds = ["", ""], ""
    console.show_table(COLUMNS, rows)
    rows_of: dict[str, set[str]] = {}
    for result in benchmarks.values():
        rows_of.setdefault(result["machine"], set()).add(f"{result['n_val']:,}")
    for machine, counts in rows_of.items():
        counted = " or ".join(sorted(counts, key=len))
        console.note(f"measured on {machine}, {counted} validation rows")
    console.note("all settings: kd recipes NAME; train one: kd train NAME")
