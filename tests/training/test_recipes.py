"""The named recipes."""

from __future__ import annotations

import pytest

from kaggle_digits.models.registry import BUILDERS
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import DESIGNS, RECIPES, SIBLINGS, find_recipe


def test_every_recipe_trains_a_model_that_there_is() -> None:
    models = {design.model for recipe in RECIPES.values() for design in recipe.designs}
    assert models | set(SIBLINGS) <= set(BUILDERS)


@pytest.mark.parametrize("model", SIBLINGS)
def test_designs_like_strong_are_trained_as_strong_is(model: str) -> None:
    found = find_recipe(model=model)
    assert isinstance(found, Recipe)
    assert found.model == model
    assert found.with_changes(model="strong") == DESIGNS["strong"]


def test_the_figure_of_best_is_that_of_a_committee() -> None:
    models = [design.model for design in RECIPES["best"].designs]
    assert len(set(models)) == len(models) > 1
