"""A recipe: everything that decides how one model is trained, frozen."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from kaggle_digits.core.errors import RunError, UsageError, check_at_least
from kaggle_digits.models.normalization import KINDS
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
    def designs(self) -> tuple[Recipe, ...]:
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


def from_json(content: Any) -> Recipe:
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
