"""A recipe as a file: what is written is read again, and what is wrong in it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import (
    EnsembleRecipe,
    Recipe,
    read_recipe_file,
    write_recipe_file,
)
from kaggle_digits.training.recipes import MODEL_RECIPES, RECIPES, find_recipe

ODD = Recipe(
    "dense",
    widths=(48, 24),
    dropout=0.25,
    l2=1e-6,
    epochs=3,
    optimizer="sgd",
    learning_rate=0.1 + 0.2,
    ema=0.99,
    augment=Augmentation(rotation=7.5, elastic=0.5),
    views=5,
)


@pytest.mark.parametrize("recipe", [ODD, *RECIPES.values()], ids=lambda recipe: recipe.name)
def test_what_is_written_is_read_again(recipe: Recipe | EnsembleRecipe, tmp_path: Path) -> None:
    path = tmp_path / "new" / "mine.json"
    write_recipe_file(path, recipe, "the best of all")
    assert read_recipe_file(path) == recipe
    assert find_recipe(str(path)) == recipe
    assert json.loads(path.read_text())["note"] == "the best of all"


def test_a_person_can_write_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    # With the mark that editors on Windows begin a file with.
    path.write_bytes(
        b'\xef\xbb\xbf{"model": "cnn", "learning_rate": 1, "augment": {"rotation": 5}}'
    )
    assert read_recipe_file(path) == Recipe(
        "cnn", learning_rate=1, augment=Augmentation(rotation=5)
    )
    path.write_text('{"name": "pair", "designs": [{"model": "cnn"}, {"model": "dense"}]}')
    assert read_recipe_file(path) == EnsembleRecipe(
        "pair", (Recipe("cnn"), Recipe("dense")), folds=5
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1, column 2: not JSON"),
        ('{"model": "cnn",\n "epochs": }', "line 2, column 12: not JSON"),
        ("[1]", "[1] where settings in { } are expected"),
        ("{}", "the setting 'model' is missing"),
        ('{"model": "cnn", "rate": 1}', "unknown setting 'rate'; there are: model, widths"),
        ('{"model": "cnn", "epochs": "ten"}', 'epochs is "ten"; a whole number is expected'),
        ('{"model": "cnn", "epochs": 2.5}', "epochs is 2.5; a whole number is expected"),
        ('{"model": "cnn", "epochs": true}', "epochs is true; a whole number is expected"),
        ('{"model": "cnn", "epochs": null}', "epochs is null; a whole number is expected"),
        ('{"model": "cnn", "epochs": 0}', "epochs 0 is too small; at least 1"),
        ('{"model": "cnn", "dropout": "0.1"}', 'dropout is "0.1"; a number is expected'),
        ('{"model": "cnn", "dropout": 1}', "dropout 1 is outside 0 to 1"),
        ('{"model": "cnn", "learning_rate": NaN}', "learning-rate nan is not between"),
        ('{"model": "cnn", "optimizer": "lion"}', "optimizer lion is unknown; one of: adam"),
        ('{"model": "cnn", "optimizer": 3}', "optimizer is 3; a text is expected"),
        ('{"model": "cnn", "widths": 64}', "widths is 64; a list such as [128, 128]"),
        ('{"model": "cnn", "widths": [8, "a"]}', 'widths is [8, "a"]; a list such as'),
        ('{"model": "cnn", "augment": {"turn": 1}}', "augment: unknown setting 'turn'; there are"),
        ('{"model": "cnn", "augment": {"shift": "a"}}', 'augment: shift is "a"; a number'),
        ('{"model": "cnn", "augment": {"shift": 99}}', "shift 99 is outside 0 to 14"),
        ('{"model": "resnet"}', "no model called 'resnet'; one of: linear"),
        ('{"model": null}', "model is null; a text is expected"),
        ('{"name": "two", "designs": 3}', "designs is 3; a list of designs is expected"),
        ('{"name": "two", "designs": []}', "committee two has no design"),
        ('{"designs": [{"model": "cnn"}]}', "the setting 'name' is missing"),
        (
            '{"name": "two", "designs": [{"model": "cnn"}, {"model": "cnn", "l2": "a"}]}',
            'design 2: l2 is "a"; a number is expected',
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_setting(
    content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        find_recipe(str(path))
    message = str(raised.value)
    assert message.startswith(f"recipe file {path}")
    assert said in message
    assert "\n" not in message


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no recipe file absent\.json"):
        find_recipe("absent.json")
    with pytest.raises(UsageError, match="there is no recipe file"):
        find_recipe(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        find_recipe(f"{tmp_path}/")
    (tmp_path / "mine.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not text in UTF-8"):
        find_recipe(str(tmp_path / "mine.json"))
    with pytest.raises(UsageError, match=r"no recipe called 'absent'; one of: linear.*recipe file"):
        find_recipe("absent")


def test_a_name_goes_before_a_file_and_a_model_must_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe_file(Path("dense"), ODD)
    write_recipe_file(Path("mine"), ODD)
    assert find_recipe("dense") == MODEL_RECIPES["dense"]
    assert find_recipe("mine", "dense") == ODD
    with pytest.raises(UsageError, match="recipe mine trains model dense; leave out --model cnn"):
        find_recipe("mine", "cnn")
