"""A recipe: all settings that decide how a model is trained.

``Recipe`` is one model, ``EnsembleRecipe`` several that are trained on the same folds and combined.
Both are written to a run's config.json and can be read from a file: ``kd train FILE``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from kaggle_digits._version import __version__
from kaggle_digits.core import errors, trust
from kaggle_digits.core.atomic_io import read_json, write_json
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.models import registry
from kaggle_digits.models.base import NORMALIZATIONS
from kaggle_digits.models.registry import NETWORK_SETTINGS, SKLEARN_MODELS
from kaggle_digits.models.tta import AffineRange, check_tta
from kaggle_digits.runs.run import Run
from kaggle_digits.training.augmentation import Augmentation
from kaggle_digits.training.schedules import Schedule

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

Optimizer = Literal["adam", "adamw", "sgd", "muon"]
WEIGHT_DECAY_OPTIMIZERS = ("adamw", "muon")

# Keys of a recipe file that are no settings. Files of earlier versions may have a signature.
NOTE, SIGNATURE = "note", "signature"
# The key of an ensemble's recipes in JSON.
DESIGNS = "designs"
MAX_VALUE_LENGTH = 40
# The settings that are numbers.
NUMBERS: dict[str, type[int] | type[float]] = {
    **dict.fromkeys(("epochs", "batch_size", "views", "patience"), int),
    **dict.fromkeys(("dropout", "l2", "learning_rate", "weight_decay"), float),
    **dict.fromkeys(("label_smoothing", "ema"), float),
}


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Attributes:
        model: a registered name, or ``package.module:function``.
        widths: units or filters of each layer; None for the model's default.
        dropout: fraction of units dropped, in [0, 1); None for the model's default.
        l2: λ of mean loss + λ ∑ w²; None for the model's default.
        normalize: ``unit``, ``l2``, ``standard`` or ``none``, as in models.base.Normalizer.
        epochs: passes over the training rows; scikit-learn's linear model is fitted in one.
        batch_size: rows per step.
        optimizer: ``adam``, ``adamw``, ``sgd`` (momentum 0.9, Nesterov) or ``muon``.
        learning_rate: the peak of the schedule.
        weight_decay: of ``adamw`` and ``muon``, per step and times the learning rate.
        schedule: ``onecycle``, ``exponential`` or ``constant``.
        label_smoothing: fraction of the target spread over all digits, in [0, 1).
        ema: momentum of the running average of the weights, such as 0.99, which replaces them
            after the last epoch; None does not average.
        augment: ranges of random transformations of training images.
        views: copies of each image averaged in test-time augmentation: 1, 5 or 9.
        patience: stop after this many epochs without a better validation loss and keep the best
            epoch; None trains all epochs and keeps the last.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

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
    fills_time: ClassVar[bool] = False  # only an EnsembleRecipe may

    def __post_init__(self) -> None:
        for name, kind in NUMBERS.items():
            object.__setattr__(self, name, errors.check_number(name, getattr(self, name), kind))
        if self.widths is not None:
            if not isinstance(self.widths, Iterable):
                raise UsageError(
                    f"`widths={self.widths!r}` are none; for one layer: `widths=(128,)`"
                )
            widths = tuple(errors.check_number("widths", width, int) for width in self.widths)
            object.__setattr__(self, "widths", widths)
        choices = {"optimizer": get_args(Optimizer), "schedule": get_args(Schedule)}
        for name, allowed in {"normalize": NORMALIZATIONS, **choices}.items():
            errors.check_choice(name, getattr(self, name), allowed)
        minima = {"epochs": 1, "batch_size": 1, "patience": 1, "l2": 0, "weight_decay": 0}
        for name, minimum in minima.items():
            errors.check_at_least(name, getattr(self, name), minimum)
        for width in self.widths or ():
            errors.check_at_least("widths", width, 1)
        if self.widths == ():
            raise UsageError("`widths` is empty; for example `widths=(128, 128)`")
        for name in ("dropout", "label_smoothing", "ema"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UsageError(f"`{name}={value}` is outside 0 to 1 (1 excluded)")
        if self.ema is not None and self.patience is not None:
            raise UsageError("`patience` keeps a single epoch and ema averages all; choose one")
        if not 0 < self.learning_rate <= 100:
            raise UsageError(f"`learning_rate={self.learning_rate}` is not between 0 and 100")
        check_tta(self.views)

    @property
    def name(self) -> str:
        """The default prefix of a run's name."""
        return self.model.removeprefix("__main__:")

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Itself, as the only one; an EnsembleRecipe has several."""
        return (self,)

    @property
    def affine_range(self) -> AffineRange | None:
        """The range of test-time augmentation; None if training images were not transformed."""
        affine_range = self.augment.affine_range if self.augment else None
        return affine_range if affine_range and any(affine_range) else None

    @property
    def model_options(self) -> dict[str, Any]:
        """Options of the model that are set; the others are left to its builder."""
        options = {"widths": self.widths, "dropout": self.dropout, "l2": self.l2}
        return {name: value for name, value in options.items() if value is not None}

    def with_changes(self, **changes: Any) -> Recipe:
        """Return a copy with those changes that are not None.

        ``augment`` may be False, for none, or True, for the recipe's own or the default one.
        Raises UsageError if a value is not allowed or the model has no such option.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if unknown := given.keys() - {one.name for one in fields(self)}:
            settings = ", ".join(one.name for one in fields(self))
            raise UsageError(f"a recipe has no setting {min(unknown)}; it has: {settings}")
        if given.get("augment") is True:
            given["augment"] = self.augment or Augmentation()
        elif given.get("augment") is False:
            given["augment"] = None
        changed = replace(self, **given)
        if given.keys() & changed.model_options.keys():
            registry.check_options(self.model, changed.model_options)
        return changed

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as in config.json."""
        return asdict(self)


@dataclass(frozen=True)
class EnsembleRecipe:
    """Several recipes whose models are combined to one prediction.

    Each of them is trained on every fold. ``name`` is the default prefix of a run's name, ``folds``
    the default number of folds. With ``fills_time`` the split is repeated as often as the time
    limit allows, which then has a default (kaggle_digits.training.time_limit).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    name: str
    recipes: tuple[Recipe, ...] = field(metadata={"alias": DESIGNS})
    folds: int = 5
    fills_time: bool = False

    def __post_init__(self) -> None:
        if not self.recipes:
            raise UsageError(f"{DESIGNS} of ensemble recipe {self.name} is empty")

    @property
    def model(self) -> str:
        """The names of the models, joined by " + "."""
        return " + ".join(recipe.model for recipe in self.recipes)

    def with_changes(self, **changes: Any) -> EnsembleRecipe:
        """Return a copy with those changes that are not None made to every recipe."""
        recipes = tuple(recipe.with_changes(**changes) for recipe in self.recipes)
        return replace(self, recipes=recipes)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as in config.json."""
        fills_time = {"fills_time": True} if self.fills_time else {}
        designs = list(map(asdict, self.recipes))
        return {"name": self.name, "folds": self.folds, **fills_time, DESIGNS: designs}


AnyRecipe = Recipe | EnsembleRecipe


def runs_user_code(recipe: AnyRecipe) -> bool:
    """Whether training calls a function that the recipe names, ``package.module:function``."""
    return any(registry.is_user_code(one.model) for one in recipe.recipes)


def check_used(recipe: AnyRecipe, changes: Mapping[str, Any]) -> None:
    """Raise UsageError if training ``recipe`` would ignore one of ``changes``, setting → value."""
    settings = {name for name, value in changes.items() if value}
    for one in recipe.recipes:
        reason = f"model {one.model} is one of scikit-learn's"
        unused = NETWORK_SETTINGS.intersection(settings if one.model in SKLEARN_MODELS else ())
        if "weight_decay" in settings and one.optimizer not in WEIGHT_DECAY_OPTIMIZERS:
            unused, reason = {"weight_decay"}, f"optimizer {one.optimizer} has none"
        for name in sorted(unused):
            raise UsageError(f"`{name}` would have no effect: {reason}")


def run_recipe(run: Run) -> AnyRecipe:
    """Return the recipe in a run's config.json; raise RunError if it cannot be read."""
    config = run.config()
    try:
        recipe = recipe_from_json(config["recipe"])
    except UsageError as error:
        version = config.get("kd_version")
        other = "" if version == __version__ else f", and kaggle-digits {version} wrote it"
        raise RunError(
            f"the recipe of run {run.name} cannot be read ({error}{other}); train it again"
        ) from error
    if config["members"] % len(recipe.recipes):
        raise RunError(
            f"config.json of run {run.name} counts {config['members']} members for "
            f"{len(recipe.recipes)} recipes; train it again"
        )
    return recipe


def recipe_from_json(content: Any) -> AnyRecipe:
    """Return the recipe of which ``content`` is the JSON; missing settings have their defaults.

    UsageError is raised if a setting is unknown, missing, of the wrong type or outside its range.
    """
    from pydantic import ValidationError

    kind = EnsembleRecipe if isinstance(content, dict) and DESIGNS in content else Recipe
    try:
        # From JSON, because pydantic's strict mode accepts a list as a tuple only there.
        recipe: AnyRecipe = _adapter(kind).validate_json(json.dumps(content))
    except ValidationError as error:
        raise UsageError(_describe(error.errors()[0], kind)) from error
    return recipe


def write_recipe_file(path: Path, recipe: AnyRecipe, note: str = "") -> None:
    """Write ``recipe`` as JSON, with ``note`` as the first key; an existing file is replaced."""
    write_json(path, ({NOTE: note} if note else {}) | recipe.to_json())


def read_recipe_file(path: Path, model: str | None = None) -> AnyRecipe:
    """Read a recipe file; missing settings have their defaults.

    The code of ``model``, ``package.module:function``, may run: the user typed it.

    Raises:
        UsageError: the file is missing or not JSON, a setting is wrong, or the recipe would run
            code that the user neither named nor trusts. The message names file and setting.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise UsageError(
            f"there is no recipe file {path}; `kd.tune(dataset, NAME)` writes one"
        ) from None
    except OSError as error:
        raise UsageError(f"recipe file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"recipe file {path} is not text in UTF-8") from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"recipe file {path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        ) from error
    except ValueError as error:
        raise UsageError(f"recipe file {path}: {error}") from error
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key not in (NOTE, SIGNATURE)}
    try:
        recipe = recipe_from_json(content)
        if runs_user_code(recipe) and recipe.model != model and not trust.is_enabled():
            raise UsageError(  # noqa: TRY301
                f"training would run the code of {recipe.model}; name it yourself: "
                f"`kd.find_recipe({str(path)!r}, model={recipe.model!r})`, or {trust.HINT}"
            )
        for one in recipe.recipes:
            registry.find_builder(one.model)
    except UsageError as error:
        plain = re.sub(r"`(\w+=[^`]*)`", r"\1", str(error))  # a setting of the file, no option
        raise UsageError(f"recipe file {path}: {plain}") from error
    return recipe


@cache  # building one takes 2 ms, which the web app would pay for every picture
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _describe(error: ErrorDetails, kind: type[Any]) -> str:
    """Return pydantic's error as one line with the setting, its value and what is allowed."""
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    path = path.removeprefix(".")[:MAX_VALUE_LENGTH]
    if error["type"] == "missing":
        return f"the setting {path} is missing"
    if error["type"] == "unexpected_keyword_argument":
        inner = {"augment": Augmentation, DESIGNS: Recipe}
        owner = next((inner[p] for p in reversed(error["loc"][:-1]) if p in inner), kind)
        known = [one.metadata.get("alias", one.name) for one in fields(owner)]
        return f"unknown setting {path}; known are: {', '.join(known)}"
    value = json.dumps(error["input"], ensure_ascii=False)
    if len(value) > MAX_VALUE_LENGTH:
        value = value[: MAX_VALUE_LENGTH - 3] + "..."
    wanted = error["msg"].replace("Input should be", "it should be")
    return f"{path or 'the recipe'} is {value}; {wanted}"
