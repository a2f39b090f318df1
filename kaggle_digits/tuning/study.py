"""A study of its own: made once, and gone on with only where its trials can be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.data.splits import Split
from kaggle_digits.training.recipe import Recipe
from kaggle_digits.tuning.search_space import Dimension, Value, present
from kaggle_digits.tuning.storage import optuna_package

if TYPE_CHECKING:
    import optuna

SETTING, BASE = "setting", "base"


def make_setting(
    dataset: Dataset, recipe: Recipe, space: Sequence[Dimension], how: Split
) -> dict[str, Any]:
    """What must be the same in all trials of a study, in words that a message can name."""
    setting = {
        "train.csv": dataset.train.sha256,
        "recipe": recipe.to_json(),
        "--vary": [dimension.words for dimension in space],
        "split": asdict(how),  # --folds, --rows and --seed
    }
    # As it will come back from the study.
    return json.loads(json.dumps(setting))  # type: ignore[no-any-return]


def open_study(name: str, storage: Any, setting: dict[str, Any]) -> optuna.study.Study:
    """The study; where there is none it is made."""
    optuna = optuna_package()
    study: Any
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="minimize")
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        _check_setting(study, setting)
        return study  # type: ignore[no-any-return]
    study.set_user_attr(SETTING, setting)
    return study  # type: ignore[no-any-return]


def begin_with(study: optuna.study.Study, start: dict[str, Value]) -> None:
    """Have ``start`` tried first, and again where the process that tried it was killed."""
    trials = study.get_trials(deepcopy=False)
    if not trials:
        study.set_user_attr(BASE, 1)
        study.enqueue_trial(start)
        return
    number = study.user_attrs.get(BASE)
    failed = optuna_package().trial.TrialState.FAIL
    if number is not None and trials[number - 1].state == failed:
        study.enqueue_trial(start)
        waiting = study.get_trials(deepcopy=False)[len(trials) :]
        known = [one for one in waiting if one.system_attrs.get("fixed_params") == start]
        study.set_user_attr(BASE, known[-1].number + 1 if known else number)


def _check_setting(study: optuna.study.Study, setting: dict[str, Any]) -> None:
    """Raise RunError where the trials of ``study`` cannot be compared with those of ``setting``."""
    known = study.user_attrs.get(SETTING)
    if known is None and not study.get_trials(deepcopy=False):
        # Whoever made it was killed, or will write the same in a moment.
        study.set_user_attr(SETTING, setting)
    known = study.user_attrs.get(SETTING)
    if known is None:
        raise RunError(
            f"study {study.study_name} was not made by kd tune; give yours another name: --name"
        )
    other = [what for what in setting if known.get(what) != setting[what]]
    if other:
        raise RunError(
            f"study {study.study_name} stands already with another {' and '.join(other)}; go on "
            "with it by the command that began it, or begin another with --name"
        )


def first_values(recipe: Recipe, space: Sequence[Dimension]) -> dict[str, Value] | None:
    """What ``recipe`` has for each setting, where all of that may be tried."""
    values = {dimension.name: present(recipe, dimension.name) for dimension in space}
    held = all(dimension.holds(values[dimension.name]) for dimension in space)
    return values if held else None
