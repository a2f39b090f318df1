"""A recipe as a small JSON file that a person can read and change: kd train --recipe FILE."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from kaggle_digits.core import signing
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import DigitsError, UsageError
from kaggle_digits.models.registry import find_builder
from kaggle_digits.training.committee import Committee, may_run, names_code, read_recipe
from kaggle_digits.training.recipe import Recipe

SUFFIX = ".json"
# What a file says about itself; it changes nothing. By its signature a file that names code is
# known to be made here.
NOTE, SIGNATURE = "note", "signature"


def is_recipe_file(name: str) -> bool:
    """Whether ``name`` is a path: it ends in .json, has a slash, or a file stands there."""
    return name.endswith(SUFFIX) or "/" in name or "\\" in name or Path(name).is_file()


def write_recipe_file(path: Path, recipe: Recipe | Committee, note: str = "") -> None:
    """Write ``recipe`` to ``path``, whole, every setting on a line of its own.

    Args:
        path: replaced where it stands.
        recipe: what ``read_recipe_file`` gives back.
        note: where the recipe comes from, in words; stands first in the file.

    Raises:
        StorageError: the folder is not writable or the disk is full.
    """
    about = {NOTE: note} if note else {}
    if names_code(recipe):
        about[SIGNATURE] = signing.sign_json(recipe.to_json())
    write_json(path, about | recipe.to_json())


def read_recipe_file(path: Path) -> Recipe | Committee:
    """The recipe or committee in ``path``; a setting that is left out has its default.

    Raises:
        UsageError: there is no such file, it is not JSON, or a setting is unknown or of the wrong
            kind, or a model is a function, in a file that was not made here; names the file and
            the setting.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(
            f"there is no recipe file {path}; kd tune writes one, kd recipes lists those with names"
        ) from None
    except (IsADirectoryError, PermissionError) as error:
        raise UsageError(f"recipe file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"recipe file {path} is not text in UTF-8") from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"recipe file {path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        ) from error
    try:
        return _checked(content)
    except DigitsError as error:
        # A run's recipe that cannot be read says to train it again; its cause says what is wrong.
        reason = error.__cause__ if isinstance(error.__cause__, UsageError) else error
        raise UsageError(f"recipe file {path}: {str(reason).removeprefix('--')}") from error


def _checked(content: Any) -> Recipe | Committee:
    if not isinstance(content, dict):
        raise UsageError(f"{_kind(content)} where settings in {{ }} are expected")
    signature = content.get(SIGNATURE)
    content = {name: value for name, value in content.items() if name not in (NOTE, SIGNATURE)}
    if "designs" not in content:
        _check_fields(content, Recipe, "")
    else:
        content = {"folds": Committee.folds} | content
        _check_fields(content, Committee, "")
        for number, design in enumerate(content["designs"], 1):
            _check_fields(design, Recipe, f"design {number}: ")
    recipe = read_recipe(content)
    if not may_run(recipe, signature):
        raise UsageError(
            f"its model {recipe.model} is a function of somebody's own, and the file was changed "
            f"or not made here; name the function yourself (--model), or {signing.HOW_TO}"
        )
    for design in recipe.designs:
        find_builder(design.model)
    return recipe


def _check_fields(content: Any, kind: type[Any], where: str) -> None:
    """Raise UsageError for the first setting that ``kind`` lacks or that is of the wrong kind."""
    if not isinstance(content, dict):
        raise UsageError(f"{where}{_kind(content)} where settings in {{ }} are expected")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for name in content:
        if name not in known:
            raise UsageError(f"{where}unknown setting {name!r}; there are: {', '.join(known)}")
    for name, value in content.items():
        _check_value(name, value, hints[name], where)
    first = known[0]
    if kind in (Recipe, Committee) and first not in content:
        raise UsageError(f"{where}the setting {first!r} is missing")


def _check_value(name: str, value: Any, hint: Any, where: str) -> None:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return
        hint = next(each for each in get_args(hint) if each is not type(None))
    if isinstance(hint, type) and is_dataclass(hint):
        _check_fields(value, hint, f"{where}{name}: ")
    elif not _fits(value, hint):
        raise UsageError(f"{where}{name} is {_kind(value)}; {_wanted(hint)} is expected")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        (item, *_) = get_args(hint)
        # A committee's designs are looked at one by one.
        return isinstance(value, list) and (item is Recipe or all(_fits(x, item) for x in value))
    if get_origin(hint) is Literal:
        return isinstance(value, str)  # which words there are the recipe says itself
    if isinstance(value, bool):  # to Python true is 1
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _wanted(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "a list of designs" if Recipe in get_args(hint) else "a list such as [128, 128]"
    words: Mapping[Any, str] = {int: "a whole number", float: "a number"}
    return words.get(hint, "a text")


def _kind(value: Any) -> str:
    """``value`` as JSON has it, cut short."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
