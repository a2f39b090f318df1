"""Recipes as JSON and as files: round trips, and messages that name what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core import trust
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.runs.run import Run
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import (
    EnsembleRecipe,
    Recipe,
    read_recipe_file,
    recipe_from_json,
    run_recipe,
    write_recipe_file,
)
from kaggle_digits.training.recipes import MODEL_RECIPES, RECIPES, find_recipe
from tests.support.trainings import DENSE, TWO

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
def test_file_round_trip(recipe: Recipe | EnsembleRecipe, tmp_path: Path) -> None:
    path = tmp_path / "new" / "mine.json"
    write_recipe_file(path, recipe, "the best of all")
    assert read_recipe_file(path) == recipe
    assert find_recipe(str(path)) == recipe
    assert json.loads(path.read_text())["note"] == "the best of all"


def test_hand_written_file_has_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    # With the byte-order mark that some Windows editors write.
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
    ("content", "expected"),
    [
        ("{", "line 1, column 2: not JSON"),
        ('{"model": "cnn",\n "epochs": }', "line 2, column 12: not JSON"),
        ("[1]", "the recipe is [1]; it should be an object"),
        ("{}", "the setting model is missing"),
        ('{"model": "cnn", "rate": 1}', "unknown setting rate; known are: model, widths"),
        ('{"model": "cnn", "epochs": "ten"}', 'epochs is "ten"; it should be a valid integer'),
        ('{"model": "cnn", "epochs": 2.5}', "epochs is 2.5; it should be a valid integer"),
        ('{"model": "cnn", "epochs": true}', "epochs is true; it should be a valid integer"),
        ('{"model": "cnn", "epochs": null}', "epochs is null; it should be a valid integer"),
        ('{"model": "cnn", "epochs": 0}', "epochs=0 is too small; at least 1"),
        ('{"model": "cnn", "dropout": "0.1"}', 'dropout is "0.1"; it should be a valid number'),
        ('{"model": "cnn", "dropout": 1}', "dropout=1.0 is outside 0 to 1"),
        ('{"model": "cnn", "learning_rate": NaN}', "NaN is not a finite number"),
        ('{"model": "cnn", "learning_rate": -Infinity}', "-Infinity is not a finite number"),
        ('{"model": "cnn", "l2": 1e999}', "1e999 is not a finite number"),
        ('{"model": "cnn", "epochs": 1' + "0" * 5_000 + "}", "is too large"),
        (
            '{"model": "cnn", "epochs": 99999999999999999}',
            "epochs=99999999999999999 is too large",
        ),
        ('{"model": "cnn", "widths": [10000000000]}', "widths=10000000000 is too large"),
        ('{"model": "cnn", "model": "dense"}', "the key 'model' occurs 2 times"),
        ('{"model": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested too deeply"),
        ('{"model": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
        ('{"model": "\\ud800"}', "Invalid JSON"),
        ('{"model": "cnn", "' + "a" * 9_000 + '": 1}', "unknown setting aaa"),
        ('{"model": "cnn", "optimizer": "lion"}', "optimizer is \"lion\"; it should be 'adam', "),
        ('{"model": "cnn", "optimizer": 3}', "optimizer is 3; it should be 'adam', "),
        ('{"model": "cnn", "widths": 64}', "widths is 64; it should be a valid array"),
        ('{"model": "cnn", "widths": [8, "a"]}', 'widths[1] is "a"; it should be a valid integer'),
        (
            '{"model": "cnn", "augment": {"turn": 1}}',
            "unknown setting augment.turn; known are: rotation",
        ),
        (
            '{"model": "cnn", "augment": {"shift": "a"}}',
            'augment.shift is "a"; it should be a valid number',
        ),
        ('{"model": "cnn", "augment": {"shift": 99}}', "shift 99.0 is outside 0 to 14"),
        ('{"model": "resnet"}', "no model called 'resnet'; one of: linear"),
        ('{"model": null}', "model is null; it should be a valid string"),
        ('{"name": "two", "designs": 3}', "designs is 3; it should be a valid array"),
        ('{"name": "two", "designs": []}', "designs of ensemble recipe two is empty"),
        ('{"designs": [{"model": "cnn"}]}', "the setting name is missing"),
        (
            '{"name": "two", "designs": [{"model": "cnn"}, {"model": "cnn", "l2": "a"}]}',
            'designs[1].l2 is "a"; it should be a valid number',
        ),
    ],
)
def test_errors_name_file_and_setting(content: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        find_recipe(str(path))
    message = str(raised.value)
    assert message.startswith(f"recipe file {path}")
    assert expected in message
    assert "\n" not in message
    assert len(message) < 600


def test_missing_and_unreadable_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no recipe file absent\.json"):
        find_recipe("absent.json")
    with pytest.raises(UsageError, match="there is no recipe file"):
        find_recipe(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="it is a folder"):
        find_recipe(f"{tmp_path}/")
    (tmp_path / "mine.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not text in UTF-8"):
        find_recipe(str(tmp_path / "mine.json"))
    with pytest.raises(UsageError, match=r"no recipe called 'absent'; one of: linear.*recipe file"):
        find_recipe("absent")


def test_names_take_precedence_over_files_and_the_model_must_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe_file(Path("dense"), ODD)
    write_recipe_file(Path("mine"), ODD)
    assert find_recipe("dense") == MODEL_RECIPES["dense"]
    assert find_recipe("mine", "dense") == ODD
    with pytest.raises(UsageError, match="recipe mine trains model dense; leave out `model='cnn'`"):
        find_recipe("mine", "cnn")


def test_changes_apply_to_every_recipe() -> None:
    changed = TWO.with_changes(epochs=7, patience=None)
    assert [recipe.epochs for recipe in changed.recipes] == [7, 7]
    assert changed.folds == 3


def test_numbers_and_lists_of_python_users_are_recorded_as_in_a_file() -> None:
    made = Recipe(
        "dense",
        widths=[np.int64(64), 32],  # type: ignore[arg-type]
        epochs=np.int64(3),  # type: ignore[arg-type]
        learning_rate=np.float32(0.5),  # type: ignore[arg-type]
    )
    assert made == Recipe("dense", widths=(64, 32), epochs=3, learning_rate=0.5)
    assert recipe_from_json(made.to_json()) == made
    assert hash(made) == hash(recipe_from_json(made.to_json()))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 2.0}, r"`epochs=2\.0` is not a whole number"),
        ({"epochs": "3"}, r"`epochs='3'` is not a whole number"),
        ({"l2": "1e-4"}, r"`l2='1e-4'` is not a number"),
        ({"widths": 64}, r"for one layer: `widths=\(128,\)`"),
        ({"widths": (64, 0.5)}, r"`widths=0\.5` is not a whole number"),
    ],
)
def test_values_that_no_file_could_hold_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DENSE.with_changes(**wrong)


def test_json_round_trip() -> None:
    for recipe in (TWO, DENSE, *RECIPES.values()):
        assert recipe_from_json(recipe.to_json()) == recipe
    assert isinstance(recipe_from_json(Recipe("dense").to_json()), Recipe)


def run_with(recipe: object, folder: Path) -> Run:
    """A run folder whose config.json holds ``recipe``."""
    run = Run(folder)
    folder.mkdir(exist_ok=True)
    run.write_config({"members": 2, "recipe": recipe})
    return run


def test_recipe_of_a_run(tmp_path: Path) -> None:
    assert run_recipe(run_with(TWO.to_json(), tmp_path / "two")) == TWO
    content = TWO.to_json()
    del content["name"]
    with pytest.raises(RunError, match=r"run two .*setting name is missing.*train it again"):
        run_recipe(run_with(content, tmp_path / "two"))
    with pytest.raises(RunError, match="train it again"):
        run_recipe(run_with({**DENSE.to_json(), "colour": "red"}, tmp_path / "two"))
    with pytest.raises(UsageError, match="is empty"):
        EnsembleRecipe("none", ())


def test_user_code_in_a_file_needs_its_name_or_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(trust.VARIABLE, "")
    (tmp_path / "recipe_models.py").write_text("def small():\n    raise AssertionError\n")
    recipe = Recipe("recipe_models:small")
    path = tmp_path / "mine.json"
    write_recipe_file(path, recipe)
    with pytest.raises(
        UsageError, match=r"run the code of recipe_models:small; .* add `os.environ"
    ):
        find_recipe(str(path))
    with pytest.raises(UsageError, match=r"add `os.environ"):
        find_recipe(str(path), "recipe_models:other")
    assert find_recipe(str(path), "recipe_models:small") == recipe
    # Earlier versions wrote a signature; it does not replace consent.
    path.write_text(json.dumps({"signature": "0" * 64} | recipe.to_json()))
    with pytest.raises(UsageError, match=r"add `os.environ"):
        find_recipe(str(path))
    monkeypatch.setenv(trust.VARIABLE, "1")
    assert find_recipe(str(path)) == recipe
