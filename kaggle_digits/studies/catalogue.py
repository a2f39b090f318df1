"""All studies by name, in the order they are repeated."""

from __future__ import annotations

from kaggle_digits.core.errors import UsageError
from kaggle_digits.studies import (
    bottleneck,
    coursera,
    denoise,
    linear_network,
    models,
    notebook,
    scikit,
    tsne,
)
from kaggle_digits.studies.study import Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        models,
        denoise,
        tsne,
        bottleneck,
        linear_network,
        notebook,
        coursera,
        scikit,
    )
}


def find_study(name: str) -> Study:
    """The study called ``name``.

    Raises:
        UsageError: there is none; names those that stand.
    """
    if name not in STUDIES:
        raise UsageError(f"no study called {name!r}; one of: {', '.join(STUDIES)}")
    return STUDIES[name]
