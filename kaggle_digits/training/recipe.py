"""A recipe: everything that decides how one model is trained, frozen."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from kaggle_digits.core import signing
from kaggle_digits.core.atomic_io import write_json
from kaggle_digits.core.errors import DigitsError, RunError, UsageError, check_at_least
from kaggle_digits.models.normalization import KINDS
from kaggle_digits.models.registry import find_builder
from kaggle_digits.models.tta import AffineRange, check_tta
from kaggle_digits.training.augmentation import Augmentation

Optimizer = Literal["adam", "adamw", "sgd", "muon"]
Schedule = Literal["onecycle", "exponential", "constant"]


@dataclass(frozen=True)
class Recipe:
    """How one member is trained.

    Attributes:
        model: a name in the zoo, or ``package.module:function``.
        widths: units or filters of each layer; None for the model's own.
        dropout: share of units dropped, in [0, 1); None for the model's own.
        l2: λ of mean loss + λ ∑ w²; None for the model's own.
        normalize: ``unit``, ``l2`` or ``standard``.
        epochs: passes over the training rows; scikit-learn's linear model has its own end.
        batch_size: rows a step.
        optimizer: ``adam``, ``adamw``, ``sgd`` (momentum 0.9, Nesterov) or ``muon`` (for
            convolutions too; see kaggle_digits.training.muon).
        learning_rate: the highest reached.
        weight_decay: of ``adamw`` and ``muon``, a step and learning rate.
        schedule: ``onecycle`` (linear warm-up over the first fifth of the steps, then half a
            cosine to 0; Smith 2018), ``exponential`` (5 % less each epoch) or ``constant``.
        label_smoothing: share of the target spread over all digits.
        ema: how much of the running average of the weights each step keeps, such as 0.99; the
            average is what the last epoch leaves. None keeps the weights themselves.
        augment: how training images are moved; None leaves them as they are.
        views: of each validation and test image whose probabilities are averaged: 1, 5 or 9.
        patience: stop after this many epochs without a better validation loss and keep the best
            epoch; None trains to the end and keeps the last.
    """

    model: str
    widths: tuple[int, ...] | None = None
    dropout: float | None = None
    l2: float | None = None
    normalize: str = "unit"
    epochs: int = 20
    batch_size: int = 128
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    schedule: Schedule = "onecycle"
    label_smoothing: float = 0.0
    ema: float | None = None
    augment: Augmentation | None = None
    views: int = 1
    patience: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a value that can never work."""
        if self.normalize not in KINDS:
            raise UsageError(f"--normalize {self.normalize} is unknown; one of: {', '.join(KINDS)}")
        check_at_least("epochs", self.epochs, 1)
        check_at_least("batch-size", self.batch_size, 1)
        check_at_least("patience", self.patience, 1)
        for width in self.widths or ():
            check_at_least("widths", width, 1)
        if self.widths is not None and not self.widths:
            raise UsageError("--widths is empty; for example --widths 128,128")
        _within("dropout", self.dropout, 0, 1)
        _within("label-smoothing", self.label_smoothing, 0, 1)
        _within("ema", self.ema, 0, 1)
        if self.ema is not None and self.patience is not None:
            raise UsageError("--patience keeps a single epoch and ema averages all; choose one")
        check_at_least("l2", self.l2, 0)
        check_at_least("weight-decay", self.weight_decay, 0)
        if not 0 < self.learning_rate <= 100:
            raise UsageError(f"--learning-rate {self.learning_rate} is not between 0 and 100")
        _one_of("optimizer", self.optimizer, get_args(Optimizer))
        _one_of("schedule", self.schedule, get_args(Schedule))
        check_tta(self.views)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Itself: what a committee has several of."""
        return (self,)

    @property
    def affine_range(self) -> AffineRange | None:
        """How far the views of an image are moved; see kaggle_digits.models.tta."""
        affine_range = self.augment.affine_range if self.augment else None
        return affine_range if affine_range and any(affine_range) else None

    @property
    def name(self) -> str:
        """What a run of it is called."""
        return self.model

    @property
    def options(self) -> dict[str, Any]:
        """What is passed to the model's builder: only what was set."""
        given = {"widths": self.widths, "dropout": self.dropout, "l2": self.l2}
        return {name: value for name, value in given.items() if value is not None}

    def with_changes(self, **changes: Any) -> Recipe:
        """A copy with every change that is not None."""
        return replace(
            self, **{name: value for name, value in changes.items() if value is not None}
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in config.json."""
        return asdict(self)


def recipe_from_json(content: Any) -> Recipe:
    """The recipe in a run's config.json.

    Raises:
        RunError: it was written by another version of this package or is damaged.
    """
    try:
        known = {field.name for field in fields(Recipe)}
        unknown = set(content) - known
        if unknown:
            raise RunError(f"its recipe has unknown settings {', '.join(sorted(unknown))}")
        widths = content.get("widths")
        augment = content.get("augment")
        return Recipe(
            **{
                **content,
                "widths": None if widths is None else tuple(widths),
                "augment": None if augment is None else Augmentation(**augment),
            }
        )
    except (TypeError, UsageError) as error:
        raise RunError(f"its recipe cannot be read ({error}); train it again") from error


def _within(option: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value < high:
        raise UsageError(f"--{option} {value} is outside {low} to {high} ({high} excluded)")


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"--{option} {value} is unknown; one of: {', '.join(allowed)}")


@dataclass(frozen=True)
class EnsembleRecipe:
    """One or more designs, and how many parts of the data each of them learns.

    Attributes:
        name: what a run of it is called.
        designs: how each is trained; every design learns every part of the split.
        folds: of the split it is trained on where nothing else is asked for.
    """

    name: str
    recipes: tuple[Recipe, ...]
    folds: int = 5

    def __post_init__(self) -> None:
        """Raise UsageError for a committee of none."""
        if not self.recipes:
            raise UsageError(f"committee {self.name} has no design")

    @property
    def model(self) -> str:
        """The models in it, as one text."""
        return " + ".join(design.model for design in self.recipes)

    def with_changes(self, **changes: Any) -> EnsembleRecipe:
        """A copy with every change that is not None made to every design."""
        designs = tuple(design.with_changes(**changes) for design in self.recipes)
        return replace(self, recipes=designs)

    def to_json(self) -> dict[str, Any]:
        """As it stands in config.json."""
        designs = [design.to_json() for design in self.recipes]
        return {"name": self.name, "folds": self.folds, "designs": designs}


def names_code(recipe: Recipe | EnsembleRecipe) -> bool:
    """Whether training by it calls a function that it names, ``package.module:function``."""
    return any(":" in design.model for design in recipe.recipes)


def may_run(recipe: Recipe | EnsembleRecipe, signature: object) -> bool:
    """Whether a recipe read from a file calls nothing, or was made here, or is trusted.

    Args:
        recipe: as read.
        signature: kept beside it; of signing.sign_json.
    """
    if not names_code(recipe) or signing.trusting():
        return True
    return signing.json_made_here(recipe.to_json(), signature)


def read_recipe(content: Any) -> Recipe | EnsembleRecipe:
    """The recipe or committee in a run's config.json.

    Raises:
        RunError: it was written by another version of this package or is damaged.
    """
    if not isinstance(content, dict) or "designs" not in content:
        return recipe_from_json(content)
    try:
        designs = tuple(recipe_from_json(design) for design in content["designs"])
        return EnsembleRecipe(str(content["name"]), designs, int(content["folds"]))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise RunError(f"its recipe cannot be read ({error}); train it again") from error


SUFFIX = ".json"
# What a file says about itself; it changes nothing. By its signature a file that names code is
# known to be made here.
NOTE, SIGNATURE = "note", "signature"


def is_recipe_file(name: str) -> bool:
    """Whether ``name`` is a path: it ends in .json, has a slash, or a file stands there."""
    return name.endswith(SUFFIX) or "/" in name or "\\" in name or Path(name).is_file()


def write_recipe_file(path: Path, recipe: Recipe | EnsembleRecipe, note: str = "") -> None:
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


def read_recipe_file(path: Path) -> Recipe | EnsembleRecipe:
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


def _checked(content: Any) -> Recipe | EnsembleRecipe:
    if not isinstance(content, dict):
        raise UsageError(f"{_kind(content)} where settings in {{ }} are expected")
    signature = content.get(SIGNATURE)
    content = {name: value for name, value in content.items() if name not in (NOTE, SIGNATURE)}
    if "designs" not in content:
        _check_fields(content, Recipe, "")
    else:
        content = {"folds": EnsembleRecipe.folds} | content
        _check_fields(content, EnsembleRecipe, "")
        for number, design in enumerate(content["designs"], 1):
            _check_fields(design, Recipe, f"design {number}: ")
    recipe = read_recipe(content)
    if not may_run(recipe, signature):
        raise UsageError(
            f"its model {recipe.model} is a function of somebody's own, and the file was changed "
            f"or not made here; name the function yourself (--model), or {signing.HOW_TO}"
        )
    for design in recipe.recipes:
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
    if kind in (Recipe, EnsembleRecipe) and first not in content:
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
