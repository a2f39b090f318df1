"""Tests of kaggle_digits.tuning.search_space."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES
from kaggle_digits.tuning.search_space import (
    Dimension,
    current_value,
    make_search_space,
    with_values,
)

CNN = MODEL_RECIPES["cnn"]


def names(recipe: Recipe, *options: str) -> list[str]:
    return [dimension.name for dimension in make_search_space(recipe, options)]


@pytest.mark.parametrize("recipe", MODEL_RECIPES.values(), ids=MODEL_RECIPES)
def test_default_space_contains_the_recipe(recipe: Recipe) -> None:
    space = make_search_space(recipe)
    assert space
    for dimension in space:
        assert dimension.contains(current_value(recipe, dimension.name)), dimension.option
        # Each dimension can be given as an option.
        assert make_search_space(recipe, [dimension.option]) == (dimension,)
    own = {dimension.name: current_value(recipe, dimension.name) for dimension in space}
    again = with_values(recipe, own)
    assert {n: current_value(again, n) for n in own} == own
    assert (again.model, again.epochs, again.views) == (recipe.model, recipe.epochs, recipe.views)


def test_ema_of_a_recipe_without_it_is_outside_the_range() -> None:
    (dimension,) = make_search_space(CNN, ["ema"])
    assert not dimension.contains(current_value(CNN, "ema"))
    assert with_values(CNN, {"ema": 0.95}).ema == 0.95


def test_default_settings_depend_on_the_recipe() -> None:
    assert names(MODEL_RECIPES["linear"]) == ["l2"]
    assert names(MODEL_RECIPES["mlp"]) == ["learning_rate", "batch_size", "l2"]
    assert "dropout" not in names(MODEL_RECIPES["softmax"])
    assert "dropout" in names(CNN)
    assert "weight_decay" in names(CNN)
    assert "weight_decay" not in names(CNN.with_changes(optimizer="adam"))
    assert {"rotation", "zoom", "shear", "shift"} < set(names(MODEL_RECIPES["strong"]))
    assert not {"rotation", "elastic"} & set(names(CNN))


def test_ranges_are_parsed() -> None:
    assert make_search_space(CNN, ["learning-rate=0.001:0.03:log"]) == (
        Dimension("learning_rate", 0.001, 0.03, log=True),
    )
    assert make_search_space(CNN, ["optimizer=adamw,muon", "dropout=0:0.4"]) == (
        Dimension("optimizer", choices=("adamw", "muon")),
        Dimension("dropout", 0.0, 0.4),
    )
    assert make_search_space(CNN, ["batch_size=32,64"])[0].choices == (32, 64)
    (widths,) = make_search_space(MODEL_RECIPES["dense"], ["widths=64-32,128-64"])
    assert with_values(MODEL_RECIPES["dense"], {"widths": widths.choices[0]}).widths == (64, 32)


def test_learning_rate_range_is_wider_with_several_optimizers() -> None:
    (narrow,) = make_search_space(CNN, ["learning_rate"])
    (wide, _) = make_search_space(CNN, ["learning_rate", "optimizer"])
    assert wide.low < narrow.low < narrow.high < wide.high


def test_augmentation_settings_change_the_augmentation() -> None:
    varied = with_values(CNN, {"rotation": 7.0, "dropout": 0.1})
    assert varied == CNN.with_changes(
        dropout=0.1, augment=Augmentation(rotation=7.0, zoom=0, shear=0, shift=0)
    )
    strong = MODEL_RECIPES["strong"]
    assert strong.augment is not None
    assert with_values(strong, {"shift": 1.0}).augment == replace(strong.augment, shift=1.0)
    assert strong.augment.shift == 2.5


@pytest.mark.parametrize(
    ("model", "option", "message"),
    [
        ("cnn", "rate", "recipe cnn has no such setting to vary; one of: learning_rate, batch"),
        ("cnn", "epochs", "`vary='epochs'`: recipe cnn has no such setting"),
        ("cnn", "=", "`vary=''`: recipe cnn has no such setting"),
        ("softmax", "dropout", "recipe softmax has no such setting"),
        ("mlp", "label_smoothing", "one of: learning_rate, batch_size, widths, l2, normalize"),
        ("linear", "learning_rate", "one of: l2, normalize"),
        ("peer-keras", "weight_decay", "has no such setting"),
        ("cnn", "dropout=0:1", "dropout=1.0 is outside 0 to 1 (1 excluded)"),
        ("cnn", "dropout=0:x", "'x' is not a number"),
        ("cnn", "dropout=nan:1", "'nan' is not a number"),
        ("cnn", "dropout=0.4:0.1", "0.4 is not below 0.1"),
        ("cnn", "dropout=0:0.4:log", "a logarithmic range must start above 0"),
        ("cnn", "dropout=0.1:0.4:exp", "is not valid; write dropout=LOW:HIGH or dropout=LOW:HI"),
        ("cnn", "dropout=0.1", "give two or more different values, dropout=A,B"),
        ("cnn", "dropout=0.1,0.1", "two or more different values"),
        ("cnn", "optimizer=adam,lion", "optimizer='lion' is unknown; one of: adam"),
        ("cnn", "optimizer=a:b", "is not valid; write optimizer=A,B"),
        ("cnn", "batch_size=1.5:3", "'1.5' is not a whole number"),
        ("cnn", "batch_size=0:3", "batch_size=0 is too small"),
        ("cnn", "widths=8,a", "'a' is not valid, write 128-64"),
        ("cnn", "zoom=0:0.95", "zoom 0.95 is outside 0 to 0.9"),
    ],
)
def test_invalid_option_is_refused(model: str, option: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        make_search_space(MODEL_RECIPES[model], [option])
    assert message in str(raised.value)
    assert "`vary" in str(raised.value)


def test_setting_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="`vary='dropout'` is given twice"):
        make_search_space(CNN, ["dropout", "dropout=0:0.1"])
