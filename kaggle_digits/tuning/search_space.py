"""The search space: which settings of a recipe are varied, and in which range."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

from kaggle_digits.core.errors import UsageError
from kaggle_digits.models.base import NORMALIZATIONS
from kaggle_digits.models.registry import SKLEARN_MODELS, find_builder
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.recipe import WEIGHT_DECAY_OPTIMIZERS, Optimizer, Recipe
from kaggle_digits.training.schedules import Schedule

if TYPE_CHECKING:
    import optuna

Value = float | int | str
AUGMENTATION = ("rotation", "zoom", "shear", "shift", "elastic")
INTEGERS, TEXTS = ("batch_size",), ("optimizer", "schedule", "normalize", "widths")
NO_AUGMENTATION = Augmentation(rotation=0, zoom=0, shear=0, shift=0)
USUAL_AUGMENTATION = Augmentation(elastic=0.5)
# Learning rates that suit one optimizer or another.
ANY_LEARNING_RATE = (3e-4, 0.3)
SIGNIFICANT_DIGITS = 3  # of a suggested number: 0.00312 is as good as 0.0031234897


@dataclass(frozen=True)
class Dimension:
    """A field of Recipe or Augmentation and the values that it may have.

    These are ``choices`` (widths as ``128-64``) or, without them, the range from ``low`` to
    ``high``, both included, sampled on a logarithmic scale if ``log``.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def option(self) -> str:
        """The value of --vary: ``learning_rate=0.001:0.03:log``."""
        if self.choices:
            return f"{self.name}={','.join(map(str, self.choices))}"
        return f"{self.name}={self.low:g}:{self.high:g}{':log' * self.log}"

    def suggest(self, trial: "optuna.Trial") -> Value:
        """Return a value that Optuna suggests for ``trial``."""
        if self.choices:
            choice: Any = trial.suggest_categorical(self.name, self.choices)
            return choice  # type: ignore[no-any-return]
        if self.name in INTEGERS:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        value = trial.suggest_float(self.name, self.low, self.high, log=self.log)
        return min(max(_round(value), self.low), self.high)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` can be suggested."""
        if self.choices:
            return value in self.choices
        return not isinstance(value, str) and self.low <= value <= self.high


def grid_size(space: Sequence[Dimension]) -> int:
    """Return the number of combinations of values; 0 if a dimension is a range."""
    return math.prod(len(dimension.choices) for dimension in space)


def grid(space: Sequence[Dimension]) -> list[dict[str, Value]]:
    """Return all combinations of values, of dimensions without a range."""
    names = [dimension.name for dimension in space]
    values = product(*(dimension.choices for dimension in space))
    return [dict(zip(names, each, strict=True)) for each in values]


def current_values(recipe: Recipe, space: Sequence[Dimension]) -> dict[str, Value]:
    """Return the values that ``recipe`` itself has."""
    return {dimension.name: current_value(recipe, dimension.name) for dimension in space}


def current_value(recipe: Recipe, name: str) -> Value:
    """Return the value of the setting ``name`` in ``recipe``, or the model's default."""
    owner = (recipe.augment or NO_AUGMENTATION) if name in AUGMENTATION else recipe
    value: Any = getattr(owner, name)
    if value is None:
        value = _model_defaults(recipe).get(name, 0.0)  # without ema, weights are not averaged
    return "-".join(map(str, value)) if name == "widths" else value


def with_values(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """Return ``recipe`` with ``values``; raise UsageError if one is not valid."""
    settings: dict[str, Any] = dict(values)
    amounts = {name: settings.pop(name) for name in AUGMENTATION if name in settings}
    if amounts:
        settings["augment"] = replace(recipe.augment or NO_AUGMENTATION, **amounts)
    if "widths" in settings:
        settings["widths"] = _parse_widths(settings["widths"])
    return recipe.with_changes(**settings)


def make_search_space(recipe: Recipe, options: Sequence[str] = ()) -> tuple[Dimension, ...]:
    """Return the settings of ``recipe`` to vary.

    Each of ``options`` is ``NAME``, ``NAME=LOW:HIGH``, ``NAME=LOW:HIGH:log`` or ``NAME=A,B,C``;
    without them, the settings that usually matter for such a recipe are taken. Raises UsageError if
    the recipe has no such setting or a range is not valid.
    """
    ranges: dict[str, str] = {}
    for option in [options] if isinstance(options, str) else options:
        name, _, text = option.partition("=")
        name = name.strip().replace("-", "_")
        if name in ranges:
            raise UsageError(f"`vary={name!r}` is given twice")
        ranges[name] = text.strip()
    defaults = _default_space(recipe, varies_optimizer="optimizer" in ranges)
    if unknown := [name for name in ranges if name not in defaults]:
        raise UsageError(
            f"`vary={unknown[0]!r}`: recipe {recipe.name} has no such setting to vary; "
            f"one of: {', '.join(defaults)}"
        )
    if not ranges:
        # Of the augmentation, only those that the recipe has.
        usual = ["learning_rate", "batch_size", "label_smoothing", "dropout", "weight_decay"]
        usual += ["l2"] if recipe.model in SKLEARN_MODELS else []
        usual += [name for name in AUGMENTATION if current_value(recipe, name)]
        ranges = {name: "" for name in defaults if name in usual}
    space = []
    for name, text in ranges.items():
        dimension = _parse(name, text) if text else defaults[name]
        for value in dimension.choices or (dimension.low, dimension.high):
            try:
                with_values(recipe, {name: int(value) if name in INTEGERS else value})
            except UsageError as error:
                plain = str(error).replace("`", "")  # a value of the option, not an option
                raise UsageError(f"`vary={name!r}`: {plain}") from error
        space.append(dimension)
    return tuple(space)


def _default_space(recipe: Recipe, *, varies_optimizer: bool) -> dict[str, Dimension]:
    """Return the settings that have an effect on ``recipe``, each with its default range."""
    options = {"dropout", "widths", "l2"} & _model_defaults(recipe).keys()
    effective = {*options, "normalize"}
    if recipe.model != "linear":
        effective |= {"learning_rate", "batch_size"}
    if recipe.model not in SKLEARN_MODELS:
        effective |= {"label_smoothing", *AUGMENTATION, "optimizer", "schedule", "ema"}
        if varies_optimizer or recipe.optimizer in WEIGHT_DECAY_OPTIMIZERS:
            effective.add("weight_decay")
    rates = ANY_LEARNING_RATE if varies_optimizer else _around(recipe.learning_rate, 5)
    size = recipe.batch_size
    widths = _parse_widths(current_value(recipe, "widths")) if "widths" in options else ()
    sizes = [[max(1, round(factor * width)) for width in widths] for factor in (0.5, 1, 2)]
    # Twice the recipe's amount of augmentation, or twice the usual one if the recipe has none.
    own, usual = recipe.augment or NO_AUGMENTATION, USUAL_AUGMENTATION
    amounts = {name: getattr(own, name) or getattr(usual, name) for name in AUGMENTATION}
    space = (
        Dimension("learning_rate", *rates, log=True),
        Dimension("batch_size", choices=tuple(n for n in (size // 2, size, 2 * size) if n)),
        Dimension("label_smoothing", 0.0, 0.2),
        Dimension("dropout", 0.0, 0.5),
        Dimension("widths", choices=tuple("-".join(map(str, each)) for each in sizes)),
        Dimension("l2", 1e-7, 1e-3, log=True),
        Dimension("weight_decay", *_around(recipe.weight_decay or 1e-3, 10), log=True),
        *(Dimension(name, 0.0, _round(2 * amount)) for name, amount in amounts.items()),
        Dimension("optimizer", choices=get_args(Optimizer)),
        Dimension("schedule", choices=get_args(Schedule)),
        Dimension("ema", 0.9, 0.999),
        Dimension("normalize", choices=tuple(n for n in NORMALIZATIONS if n != "none")),
    )
    return {dimension.name: dimension for dimension in space if dimension.name in effective}


def _parse(name: str, text: str) -> Dimension:
    """Return the dimension of the option NAME=``text``."""
    option = f"`vary={f'{name}={text}'!r}`"
    if ":" not in text:
        choices = [choice.strip() for choice in text.split(",")]
        if len(set(choices)) < max(2, len(choices)):
            raise UsageError(f"{option}: give two or more different values, {name}=A,B, or a range")
        if name in TEXTS:
            return Dimension(name, choices=tuple(choices))
        return Dimension(name, choices=tuple(_number(name, n, option) for n in choices))
    low_text, high_text, *scale = text.split(":")
    if name in TEXTS or scale not in ([], ["log"]):
        form = f"{name}=A,B" if name in TEXTS else f"{name}=LOW:HIGH or {name}=LOW:HIGH:log"
        raise UsageError(f"{option} is not valid; write {form}")
    low, high = _number(name, low_text, option), _number(name, high_text, option)
    if not low < high:
        raise UsageError(f"{option}: {low:g} is not below {high:g}")
    if scale and not low > 0:
        raise UsageError(f"{option}: a logarithmic range must start above 0")
    return Dimension(name, low, high, log=bool(scale))


def _number(name: str, text: str, option: str) -> float | int:
    convert = int if name in INTEGERS else float
    try:
        value = convert(text)
    except ValueError:
        expected = "a whole number" if convert is int else "a number"
        raise UsageError(f"{option}: {text!r} is not {expected}") from None
    if not math.isfinite(value):
        raise UsageError(f"{option}: {text!r} is not a number")
    return value


def _model_defaults(recipe: Recipe) -> dict[str, Any]:
    """Return the options of the model's builder with their defaults."""
    parameters = inspect.signature(find_builder(recipe.model)).parameters
    return {n: each.default for n, each in parameters.items() if each.default is not each.empty}


def _parse_widths(text: Any) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split("-"))
    except ValueError:
        raise UsageError(f"{text!r} is not valid, write 128-64") from None


def _around(value: float, factor: float) -> tuple[float, float]:
    return _round(value / factor), min(_round(value * factor), 100.0)


def _round(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
