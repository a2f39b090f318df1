"""The named recipes, which are the defaults of each model, and their benchmark results."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import UsageError, did_you_mean
from kaggle_digits.models import registry
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import AnyRecipe, EnsembleRecipe, Recipe, read_recipe_file

BENCHMARK_RESULTS = Path(__file__).with_name("benchmark_results.json")

# The weight decay and the strong augmentation reduced out-of-fold errors by a twentieth. Upstrokes
# on a few 1s are for pictures from outside the data; their cost in accuracy is within chance on
# the few seeds that were measured (benchmarks/research.md).
STRONG = Recipe(
    "strong",
    epochs=24,
    optimizer="muon",
    learning_rate=5e-3,
    weight_decay=0.3,
    label_smoothing=0.1,
    augment=Augmentation(rotation=15.0, zoom=0.15, shear=0.15, shift=2.5, upstrokes=0.03),
    views=9,
)
# The default recipe of each model; accuracies and times are in docs/models.md.
MODEL_RECIPES: dict[str, Recipe] = {
    "linear": Recipe("linear", epochs=1),
    "softmax": Recipe("softmax", epochs=15, learning_rate=1e-2),
    "mlp": Recipe("mlp", epochs=15, batch_size=200, learning_rate=2e-3),
    "dense": Recipe("dense", dropout=0.1, batch_size=64, label_smoothing=0.1),
    "dense-deep": Recipe("dense-deep", learning_rate=1e-3, label_smoothing=0.1),
    "cnn": Recipe("cnn", epochs=10, learning_rate=6e-3),
    "fast": Recipe(
        "fast", epochs=2, batch_size=256, optimizer="muon", learning_rate=2e-2, label_smoothing=0.1
    ),
    "strong": STRONG,
    "peer-keras": Recipe(
        "keras-convnet", epochs=12, optimizer="adam", learning_rate=1e-3, schedule="constant"
    ),
    "peer-notebook": Recipe(
        "notebook-convnet",
        epochs=45,
        batch_size=64,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="exponential",
        augment=Augmentation(rotation=10.0, zoom=0.1, shear=0.0, shift=2.8),
    ),
}

# What ``as_recipe`` accepts.
RecipeLike = str | Path | AnyRecipe | registry.Builder

# Architectures without a recipe name of their own, trained like ``strong``.
VARIANTS = {"strong-3x3": replace(STRONG, model="strong-3x3")}

# Two architectures; the gain of a third was within chance (benchmarks/research.md).
BEST = EnsembleRecipe(
    "best",
    (
        replace(STRONG, epochs=18),
        replace(
            STRONG,
            model="strong-3x3",
            epochs=18,
            label_smoothing=0.0,
            augment=Augmentation(rotation=17.0, zoom=0.17, shear=0.2, shift=2.5, upstrokes=0.03),
        ),
    ),
)
RECIPES: dict[str, AnyRecipe] = {
    **MODEL_RECIPES,
    "best": BEST,
    # Each network is trained on nine tenths of the rows, and as many as there is time for.
    "max": replace(BEST, name="max", folds=10, fills_time=True),
}


def find_recipe(name: str | None = None, model: str | None = None) -> AnyRecipe:
    """Return the recipe called ``name``, or the default recipe of ``model``.

    ``name`` may also be a model or the path of a recipe file; ``model`` is a registered name or
    ``package.module:function``. Raises UsageError if neither is given, one does not exist, or the
    file is not a valid recipe.
    """
    if name is None:
        if model is None:
            raise UsageError(
                f"which model? `kd.train(dataset, NAME)`, one of: {', '.join(MODEL_RECIPES)}; a "
                "good first one: `kd.train(dataset, 'dense')`"
            )
        registry.find_builder(model)
        return (MODEL_RECIPES | VARIANTS).get(model, Recipe(model))
    if name in RECIPES:
        recipe = RECIPES[name]
    elif name.endswith(".json") or "/" in name or "\\" in name or Path(name).is_file():
        recipe = read_recipe_file(Path(name), model)
    elif name in registry.BUILDERS or registry.is_user_code(name):
        recipe = find_recipe(model=name)
    else:
        hint = did_you_mean(name, RECIPES | registry.BUILDERS)
        raise UsageError(
            f"no recipe called {name!r}; {hint}one of: {', '.join(RECIPES)}, or a recipe file"
        )
    if model is not None and model != recipe.model:
        raise UsageError(f"recipe {name} trains model {recipe.model}; leave out `model={model!r}`")
    return recipe


def as_recipe(recipe: RecipeLike) -> AnyRecipe:
    """Return ``recipe`` itself, or the one that is named: by a recipe, a model, or a recipe file.

    A function that returns a new Keras model or scikit-learn classifier is a model by itself. Its
    module and name are recorded in the run. Raises UsageError if there is no such recipe.
    """
    if isinstance(recipe, AnyRecipe):
        return recipe
    if hasattr(recipe, "fit") and not isinstance(recipe, type):
        name = type(recipe).__name__
        raise UsageError(
            f"a {name} is a single model, but each fold trains its own; give a function that "
            f"returns a new one, such as lambda: {name}()"
        )
    if callable(recipe):
        return Recipe(registry.register_function(recipe))
    return find_recipe(str(recipe))


def find_augmentation(name: str) -> Augmentation:
    """Return the augmentation of the recipe called ``name``; raise UsageError if it has none."""
    recipe = find_recipe(name)
    if isinstance(recipe, Recipe) and recipe.augment:
        return recipe.augment
    of_its_own = " of its own" if isinstance(recipe, EnsembleRecipe) else ""
    augmented = [other for other, one in MODEL_RECIPES.items() if one.augment]
    raise UsageError(
        f"recipe {name} has no augmentation{of_its_own}; use a `recipe` of: {', '.join(augmented)}"
    )


def benchmark_results() -> dict[str, dict[str, Any]]:
    """Return recipe → accuracy (mean over ``seeds``), spread, seconds, peak_memory_mb, machine, …

    ``python -m benchmarks.models --write`` measured them. Accuracies are of hold-outs of ``n_val``
    of the competition's 42,000 rows; ``first`` and ``first_ci95`` are of ``first_seed``, whose
    hold-out was used for no choice except the settings of ``strong`` and ``best``, which were
    chosen on out-of-fold predictions of all rows.
    """
    results: dict[str, dict[str, Any]] = json.loads(BENCHMARK_RESULTS.read_text(encoding="utf-8"))
    return results
