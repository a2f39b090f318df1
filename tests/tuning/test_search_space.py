"""What a search may vary, and how it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.training.recipes import MODEL_RECIPES
from kaggle_digits.tuning.search_space import Dimension, changed, find_space, present

CNN = MODEL_RECIPES["cnn"]


def names(recipe: Recipe, *asked: str) -> list[str]:
    return [dimension.name for dimension in find_space(recipe, asked)]


@pytest.mark.parametrize("recipe", MODEL_RECIPES.values(), ids=MODEL_RECIPES)
def test_every_recipe_has_a_space_that_holds_it(recipe: Recipe) -> None:
    space = find_space(recipe)
    assert space
    for dimension in space:
        assert dimension.holds(present(recipe, dimension.name)), dimension.words
        # What the help promises: a range can be written as it is shown.
        assert find_space(recipe, [dimension.words]) == (dimension,)
    own = {dimension.name: present(recipe, dimension.name) for dimension in space}
    again = changed(recipe, own)
    assert {n: present(again, n) for n in own} == own
    assert (again.model, again.epochs, again.views) == (recipe.model, recipe.epochs, recipe.views)


def test_the_usual_settings_are_those_that_the_recipe_has() -> None:
    assert names(MODEL_RECIPES["linear"]) == ["l2"]
    assert names(MODEL_RECIPES["mlp"]) == ["learning_rate", "batch_size", "l2"]
    assert "dropout" not in names(MODEL_RECIPES["softmax"])
    assert "dropout" in names(CNN)
    assert "weight_decay" in names(CNN)
    assert "weight_decay" not in names(CNN.with_changes(optimizer="adam"))
    assert {"rotation", "zoom", "shear", "shift"} < set(names(MODEL_RECIPES["strong"]))
    assert not {"rotation", "elastic"} & set(names(CNN))


def test_own_ranges_are_read() -> None:
    assert find_space(CNN, ["learning-rate=0.001:0.03:log"]) == (
        Dimension("learning_rate", 0.001, 0.03, log=True),
    )
    assert find_space(CNN, ["optimizer=adamw,muon", "dropout=0:0.4"]) == (
        Dimension("optimizer", choices=("adamw", "muon")),
        Dimension("dropout", 0.0, 0.4),
    )
    assert find_space(CNN, ["batch_size=32,64"])[0].choices == (32, 64)
    (widths,) = find_space(MODEL_RECIPES["dense"], ["widths=64-32,128-64"])
    assert changed(MODEL_RECIPES["dense"], {"widths": widths.choices[0]}).widths == (64, 32)


def test_another_optimiser_wants_other_rates() -> None:
    (near,) = find_space(CNN, ["learning_rate"])
    (far, _) = find_space(CNN, ["learning_rate", "optimizer"])
    assert far.low < near.low < near.high < far.high


def test_amounts_go_into_the_augmentation() -> None:
    found = changed(CNN, {"rotation": 7.0, "dropout": 0.1})
    assert found == CNN.with_changes(
        dropout=0.1, augment=Augmentation(rotation=7.0, zoom=0, shear=0, shift=0)
    )
    strong = MODEL_RECIPES["strong"]
    assert strong.augment is not None
    assert changed(strong, {"shift": 1.0}).augment == replace(strong.augment, shift=1.0)
    assert strong.augment.shift == 2.5


@pytest.mark.parametrize(
    ("model", "asked", "said"),
    [
        ("cnn", "rate", "recipe cnn has no such setting to vary; one of: learning_rate, batch"),
        ("cnn", "epochs", "--vary epochs: recipe cnn has no such setting"),
        ("cnn", "=", "--vary : recipe cnn has no such setting"),
        ("softmax", "dropout", "recipe softmax has no such setting"),
        ("mlp", "label_smoothing", "one of: learning_rate, batch_size, widths, l2, normalize"),
        ("linear", "learning_rate", "one of: l2, normalize"),
        ("peer-keras", "weight_decay", "has no such setting"),
        ("cnn", "dropout=0:1", "dropout 1.0 is outside 0 to 1 (1 excluded)"),
        ("cnn", "dropout=0:x", "'x' is not a number"),
        ("cnn", "dropout=nan:1", "'nan' is not a number"),
        ("cnn", "dropout=0.4:0.1", "0.4 is not below 0.1"),
        ("cnn", "dropout=0:0.4:log", "a range by factors (log) begins above 0"),
        ("cnn", "dropout=0.1:0.4:exp", "cannot be read; write dropout=LOW:HIGH or dropout=LOW:HI"),
        ("cnn", "dropout=0.1", "two or more different values, as dropout=A,B"),
        ("cnn", "dropout=0.1,0.1", "two or more different values"),
        ("cnn", "optimizer=adam,lion", "optimizer lion is unknown; one of: adam"),
        ("cnn", "optimizer=a:b", "cannot be read; write optimizer=A,B"),
        ("cnn", "batch_size=1.5:3", "'1.5' is not a whole number"),
        ("cnn", "batch_size=0:3", "batch-size 0 is too small"),
        ("cnn", "widths=8,a", "'a' is not such as 128-64"),
        ("cnn", "zoom=0:0.95", "zoom 0.95 is outside 0 to 0.9"),
    ],
)
def test_what_can_not_be_varied_is_refused(model: str, asked: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_space(MODEL_RECIPES[model], [asked])
    assert said in str(raised.value)
    assert "--vary" in str(raised.value)


def test_a_setting_is_named_once() -> None:
    with pytest.raises(UsageError, match="--vary dropout stands there twice"):
        find_space(CNN, ["dropout", "dropout=0:0.1"])
