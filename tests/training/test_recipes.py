"""The named recipes."""

from __future__ import annotations

import pytest

from kaggle_digits.models.registry import BUILDERS
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES, RECIPES, VARIANTS, find_recipe


def test_every_recipe_trains_a_model_that_there_is() -> None:
    models = {design.model for recipe in RECIPES.values() for design in recipe.recipes}
    assert models | set(VARIANTS) <= set(BUILDERS)


@pytest.mark.parametrize("model", VARIANTS)
def test_designs_like_strong_are_trained_as_strong_is(model: str) -> None:
    found = find_recipe(model=model)
    assert isinstance(found, Recipe)
    assert found.model == model
    assert found.with_changes(model="strong") == MODEL_RECIPES["strong"]


def test_the_figure_of_best_is_that_of_a_committee() -> None:
    models = [design.model for design in RECIPES["best"].recipes]
    assert len(set(models)) == len(models) > 1
