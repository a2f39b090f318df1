"""The named recipes."""

from __future__ import annotations

import pytest

from kaggle_digits.models.registry import BUILDERS
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES, RECIPES, VARIANTS, find_recipe


def test_every_recipe_trains_a_registered_model() -> None:
    models = {one.model for recipe in RECIPES.values() for one in recipe.recipes}
    assert models | set(VARIANTS) <= set(BUILDERS)


@pytest.mark.parametrize("model", VARIANTS)
def test_variants_of_strong_are_trained_like_strong(model: str) -> None:
    found = find_recipe(model=model)
    assert isinstance(found, Recipe)
    assert found.model == model
    assert found.with_changes(model="strong") == MODEL_RECIPES["strong"]


def test_best_is_an_ensemble_of_different_models() -> None:
    best = find_recipe("best")
    assert isinstance(best, EnsembleRecipe)
    assert len({one.model for one in best.recipes}) == len(best.recipes) > 1
