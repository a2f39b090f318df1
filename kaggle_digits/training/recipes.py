"""The named recipes: the defaults of each model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.registry import find_builder
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe, is_recipe_file, read_recipe_file

# Weights that decay and images that are moved far: a twentieth fewer errors out of fold.
STRONG = Recipe(
    "strong",
    epochs=24,
    optimizer="muon",
    learning_rate=5e-3,
    weight_decay=0.3,
    label_smoothing=0.1,
    augment=Augmentation(rotation=15.0, zoom=0.15, shear=0.15, shift=2.5),
    views=9,
)
# The defaults of each model, measured on the competition's 42,000 rows: README, "Models".
MODEL_RECIPES: dict[str, Recipe] = {
    "linear": Recipe("linear", epochs=1),
    "softmax": Recipe("softmax", epochs=15, learning_rate=1e-2),
    "mlp": Recipe("mlp", epochs=15, batch_size=200, learning_rate=2e-3),
    "dense": Recipe("dense", dropout=0.1, batch_size=64, label_smoothing=0.1),
    "dense-deep": Recipe("dense-deep", learning_rate=1e-3, label_smoothing=0.1),
    "cnn": Recipe("cnn", epochs=10, learning_rate=6e-3),
    "fast": Recipe(
        "fast",
        epochs=2,
        batch_size=256,
        optimizer="muon",
        learning_rate=2e-2,
        label_smoothing=0.1,
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

# Designs that are trained as ``strong`` is.
VARIANTS = {"strong-3x3": replace(STRONG, model="strong-3x3")}

RECIPES: dict[str, Recipe | EnsembleRecipe] = {
    **MODEL_RECIPES,
    # Two designs, so that its figure is that of a committee, not of a network. What further ones
    # took away could not be told from chance: benchmarks/research.md.
    "best": EnsembleRecipe(
        "best",
        (
            replace(STRONG, epochs=18),
            replace(
                STRONG,
                model="strong-3x3",
                epochs=18,
                label_smoothing=0.0,
                augment=Augmentation(rotation=17.0, zoom=0.17, shear=0.2, shift=2.5),
            ),
        ),
    ),
}


def find_recipe(name: str | None = None, model: str | None = None) -> Recipe | EnsembleRecipe:
    """The recipe or committee called ``name``, or the recipe that belongs to ``model``.

    Args:
        name: of the named recipes, or the path of a recipe file.
        model: a name in the zoo, or ``package.module:function``.

    Raises:
        UsageError: neither is given, there is no such recipe or model, or the file is no recipe.
    """
    if name is not None:
        if name in RECIPES:
            recipe = RECIPES[name]
        elif is_recipe_file(name):
            recipe = read_recipe_file(Path(name))
        else:
            raise UsageError(
                f"no recipe called {name!r}; one of: {', '.join(RECIPES)}, or a recipe file"
            )
        if model is not None and model != recipe.model:
            raise UsageError(
                f"recipe {name} trains model {recipe.model}; leave out --model {model}"
            )
        return recipe
    if model is None:
        raise UsageError(f"which model? kd train --model NAME, one of: {', '.join(MODEL_RECIPES)}")
    find_builder(model)
    return (MODEL_RECIPES | VARIANTS).get(model, Recipe(model))


def find_augmentation(name: str) -> Augmentation:
    """How the recipe called ``name`` moves its training images.

    Raises:
        UsageError: there is no such recipe, it moves none, or it is a committee, whose designs
            may each move them otherwise.
    """
    recipe = find_recipe(name)
    if isinstance(recipe, Recipe) and recipe.augment:
        return recipe.augment
    reason = (
        f"recipe {name} moves no images, so there is nothing to draw"
        if isinstance(recipe, Recipe)
        else f"recipe {name} is a committee, and each of its designs moves images its own way"
    )
    moving = ", ".join(other for other, design in MODEL_RECIPES.items() if design.augment)
    raise UsageError(f"{reason}; --recipe with one of: {moving}")


BENCHMARK_RESULTS = Path(__file__).with_name("benchmark_results.json")


def benchmark_results() -> dict[str, dict[str, Any]]:
    """Recipe → accuracy (mean of ``seeds``), its spread, seconds, peak_memory_mb, machine, …

    Accuracies are of hold-outs of ``n_val`` of the competition's 42,000 rows; ``first`` and
    ``first_ci95`` are those of ``first_seed``, a hold-out on which nothing was chosen but the
    settings of ``strong`` and ``best``: those out of fold, on all rows.
    """
    if not BENCHMARK_RESULTS.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(BENCHMARK_RESULTS.read_text(encoding="utf-8"))
    return found
