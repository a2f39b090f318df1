"""A committee: designs trained on the same parts of the data, answering as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kaggle_digits.core import signing
from kaggle_digits.core.errors import RunError, UsageError
from kaggle_digits.training.recipe import Recipe, from_json


@dataclass(frozen=True)
class Committee:
    """One or more designs, and how many parts of the data each of them learns.

    Attributes:
        name: what a run of it is called.
        designs: how each is trained; every design learns every part of the split.
        folds: of the split it is trained on where nothing else is asked for.
    """

    name: str
    designs: tuple[Recipe, ...]
    folds: int = 5

    def __post_init__(self) -> None:
        """Raise UsageError for a committee of none."""
        if not self.designs:
            raise UsageError(f"committee {self.name} has no design")

    @property
    def model(self) -> str:
        """The models in it, as one text."""
        return " + ".join(design.model for design in self.designs)

    def with_changes(self, **changes: Any) -> Committee:
        """A copy with every change that is not None made to every design."""
        designs = tuple(design.with_changes(**changes) for design in self.designs)
        return replace(self, designs=designs)

    def to_json(self) -> dict[str, Any]:
        """As it stands in config.json."""
        designs = [design.to_json() for design in self.designs]
        return {"name": self.name, "folds": self.folds, "designs": designs}


def names_code(recipe: Recipe | Committee) -> bool:
    """Whether training by it calls a function that it names, ``package.module:function``."""
    return any(":" in design.model for design in recipe.designs)


def may_run(recipe: Recipe | Committee, signature: object) -> bool:
    """Whether a recipe read from a file calls nothing, or was made here, or is trusted.

    Args:
        recipe: as read.
        signature: kept beside it; of signing.sign_json.
    """
    if not names_code(recipe) or signing.trusting():
        return True
    return signing.json_made_here(recipe.to_json(), signature)


def read_recipe(content: Any) -> Recipe | Committee:
    """The recipe or committee in a run's config.json.

    Raises:
        RunError: it was written by another version of this package or is damaged.
    """
    if not isinstance(content, dict) or "designs" not in content:
        return from_json(content)
    try:
        designs = tuple(from_json(design) for design in content["designs"])
        return Committee(str(content["name"]), designs, int(content["folds"]))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise RunError(f"its recipe cannot be read ({error}); train it again") from error
