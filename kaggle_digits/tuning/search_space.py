"""Which settings of a recipe a search varies, and between what."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.normalization import KINDS
from kaggle_digits.models.registry import SKLEARN_MODELS, find_builder
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import Optimizer, Recipe, Schedule

if TYPE_CHECKING:
    import optuna

Value = float | int | str
DECAYING = ("adamw", "muon")
AMOUNTS = ("rotation", "zoom", "shear", "shift", "elastic")
WHOLE = ("batch_size",)
STILL = Augmentation(rotation=0, zoom=0, shear=0, shift=0)
# The rates that make sense for one optimiser or another lie this far apart.
ANY_RATE = (3e-4, 0.3)
DIGITS = 3  # of a number that is tried: 0.00312 says all that 0.0031234897 does


@dataclass(frozen=True)
class Dimension:
    """One setting and the values that it may take.

    Attributes:
        name: of a field of Recipe, or of one of Augmentation's amounts.
        low: the least value, and
        high: the largest; both may be taken.
        log: whether factors count rather than differences, as of a learning rate.
        choices: the values, where they are no range; widths as ``128-64``.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def words(self) -> str:
        """As --vary takes it: ``learning_rate=0.001:0.03:log``."""
        if self.choices:
            return f"{self.name}={','.join(map(str, self.choices))}"
        return f"{self.name}={self.low:g}:{self.high:g}{':log' * self.log}"

    def suggest(self, trial: optuna.trial.Trial) -> Value:
        """The value that ``trial`` is to try."""
        if self.choices:
            chosen: Any = trial.suggest_categorical(self.name, self.choices)
            return chosen  # type: ignore[no-any-return]
        if self.name in WHOLE:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        value = trial.suggest_float(self.name, self.low, self.high, log=self.log)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def holds(self, value: Value) -> bool:
        """Whether ``value`` is one of those that may be tried."""
        if self.choices:
            return value in self.choices
        return not isinstance(value, str) and self.low <= value <= self.high


def present(recipe: Recipe, name: str) -> Value:
    """What ``recipe`` has for the setting ``name``; of options it leaves open, the model's own."""
    value: Any = (
        getattr(recipe.augment or STILL, name) if name in AMOUNTS else getattr(recipe, name)
    )
    if value is None:
        value = _own_options(recipe)[name]
    return "-".join(map(str, value)) if name == "widths" else value


def changed(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """``recipe`` with ``values`` in it.

    Raises:
        UsageError: a value can never work.
    """
    settings: dict[str, Any] = {n: value for n, value in values.items() if n not in AMOUNTS}
    if "widths" in settings:
        settings["widths"] = _widths(str(settings["widths"]))
    amounts: dict[str, Any] = {n: value for n, value in values.items() if n in AMOUNTS}
    if amounts:
        settings["augment"] = replace(recipe.augment or STILL, **amounts)
    return recipe.with_changes(**settings)


def find_space(recipe: Recipe, asked: Sequence[str] = ()) -> tuple[Dimension, ...]:
    """What a search varies in ``recipe``.

    Args:
        recipe: where the search begins.
        asked: ``NAME``, ``NAME=LOW:HIGH``, ``NAME=LOW:HIGH:log`` or ``NAME=A,B,C`` each; none
            takes what usually matters to such a recipe.

    Raises:
        UsageError: the recipe has no such setting, or the range can never work.
    """
    names = [text.partition("=")[0].strip().replace("-", "_") for text in asked]
    offered = _offered(recipe, decays=recipe.optimizer in DECAYING or "optimizer" in names)
    for name in names:
        if name not in offered:
            raise UsageError(
                f"--vary {name}: recipe {recipe.name} has no such setting to vary; "
                f"one of: {', '.join(offered)}"
            )
        if names.count(name) > 1:
            raise UsageError(f"--vary {name} stands there twice")
    if not asked:
        names = _usual(recipe, offered)
    widely = "optimizer" in names
    ranges = {text.partition("=")[0].strip(): text.partition("=")[2].strip() for text in asked}
    ranges = {name.replace("-", "_"): text for name, text in ranges.items()}
    space = [
        _read(name, ranges[name]) if ranges.get(name) else _default(recipe, name, widely=widely)
        for name in names
    ]
    for dimension in space:
        for value in dimension.choices or (dimension.low, dimension.high):
            _try(recipe, dimension.name, int(value) if dimension.name in WHOLE else value)
    return tuple(space)


def _offered(recipe: Recipe, *, decays: bool) -> list[str]:
    """Settings that change what training ``recipe`` gives; weight decay where it ``decays``."""
    options = [name for name in ("dropout", "widths", "l2") if name in _own_options(recipe)]
    if recipe.model == "linear":
        return [*options, "normalize"]
    if recipe.model in SKLEARN_MODELS:
        return ["learning_rate", "batch_size", *options, "normalize"]
    names = ["learning_rate", "batch_size", "label_smoothing", *options]
    names += ["weight_decay"] * decays
    return [*names, *AMOUNTS, "optimizer", "schedule", "ema", "normalize"]


def _usual(recipe: Recipe, offered: Sequence[str]) -> list[str]:
    if recipe.model == "linear":
        return ["l2"]
    names = ["learning_rate", "batch_size"]
    if recipe.model in SKLEARN_MODELS:
        return [*names, "l2"]
    further = ("label_smoothing", "dropout", "weight_decay")
    names += [name for name in further if name in offered]
    return names + [name for name in AMOUNTS if recipe.augment and getattr(recipe.augment, name)]


def _default(recipe: Recipe, name: str, *, widely: bool) -> Dimension:
    """The range around what ``recipe`` has; of the learning rate a far wider one if ``widely``."""
    if name == "learning_rate":
        low, high = ANY_RATE if widely else _around(recipe.learning_rate, 5)
        return Dimension(name, low, high, log=True)
    if name == "weight_decay":
        low, high = _around(recipe.weight_decay or 1e-3, 10)
        return Dimension(name, low, high, log=True)
    if name in AMOUNTS:
        return Dimension(name, 0.0, _to_digits(2 * _amount(recipe, name)))
    if name == "batch_size":
        size = recipe.batch_size
        return Dimension(name, choices=tuple(n for n in (size // 2, size, 2 * size) if n))
    if name == "widths":
        own = _widths(str(present(recipe, name)))
        sizes = [[max(1, round(share * width)) for width in own] for share in (0.5, 1, 2)]
        return Dimension(name, choices=tuple("-".join(map(str, each)) for each in sizes))
    ranges = {
        "dropout": Dimension(name, 0.0, 0.5),
        "label_smoothing": Dimension(name, 0.0, 0.2),
        "ema": Dimension(name, 0.9, 0.999),
        "l2": Dimension(name, 1e-7, 1e-3, log=True),
        "optimizer": Dimension(name, choices=get_args(Optimizer)),
        "schedule": Dimension(name, choices=get_args(Schedule)),
        "normalize": Dimension(name, choices=tuple(KINDS)),
    }
    return ranges[name]


def _read(name: str, text: str) -> Dimension:
    """The dimension that is written as ``text`` behind NAME=."""
    what = f"--vary {name}={text}"
    words = name in ("optimizer", "schedule", "normalize", "widths")
    if ":" not in text:
        choices = [word.strip() for word in text.split(",")]
        if len(set(choices)) < max(2, len(choices)):
            raise UsageError(f"{what}: two or more different values, as {name}=A,B, or a range")
        if name == "widths":
            for choice in choices:
                _widths(choice)
        return Dimension(
            name, choices=tuple(choices if words else (_number(name, n, what) for n in choices))
        )
    low, high, *end = text.split(":")
    if words or end not in ([], ["log"]):
        wanted = f"{name}=A,B" if words else f"{name}=LOW:HIGH or {name}=LOW:HIGH:log"
        raise UsageError(f"{what} cannot be read; write {wanted}")
    least, most = _number(name, low, what), _number(name, high, what)
    if not least < most:
        raise UsageError(f"{what}: {least:g} is not below {most:g}")
    if end and not least > 0:
        raise UsageError(f"{what}: a range by factors (log) begins above 0")
    return Dimension(name, least, most, log=bool(end))


def _number(name: str, text: str, what: str) -> float | int:
    kind = int if name in WHOLE else float
    try:
        value = kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f"{what}: {text!r} is not {wanted}") from None
    if not math.isfinite(value):
        raise UsageError(f"{what}: {text!r} is not a number")
    return value


def _try(recipe: Recipe, name: str, value: Value) -> None:
    try:
        changed(recipe, {name: value})
    except UsageError as error:
        raise UsageError(f"--vary {name}: {str(error).removeprefix('--')}") from error


def _own_options(recipe: Recipe) -> dict[str, Any]:
    """Name → default of the options that the model's builder takes."""
    taken = inspect.signature(find_builder(recipe.model)).parameters
    return {n: each.default for n, each in taken.items() if each.default is not each.empty}


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split("-"))
    except ValueError:
        raise UsageError(f"--vary widths: {text!r} is not such as 128-64") from None


def _around(value: float, factor: float) -> tuple[float, float]:
    return _to_digits(value / factor), min(_to_digits(value * factor), 100.0)


def _amount(recipe: Recipe, name: str) -> float:
    """What the recipe moves images by, or what is usual where it moves none so."""
    usual = Augmentation(elastic=0.5)
    return float(getattr(recipe.augment or STILL, name) or getattr(usual, name))


def _to_digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
