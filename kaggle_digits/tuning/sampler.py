"""A sampler whose values depend only on the seed, the trial's number and the earlier trials."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

# Number of trials with random values, before the sampler uses the results of earlier trials.
MIN_RANDOM, MAX_RANDOM = 3, 10


class SeededTPESampler(BaseSampler):
    """Optuna's TPESampler (Bergstra et al. 2011) with a seed of its own for each trial.

    With one seed for all trials, processes that share a study would try the same values, and a
    resumed search would repeat its first values.

    Args:
        seed: of the search.
        trials: how many there will be; a third of them, 3 to 10, get random values.
    """

    def __init__(self, seed: int, trials: int) -> None:
        self._seed = seed
        self._random_trials = min(MAX_RANDOM, max(MIN_RANDOM, trials // 3))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        seed = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]
        self._sampler = TPESampler(seed=int(seed), n_startup_trials=self._random_trials)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)
