"""What a search tries next: a sampler whose draws depend on seed, trial number and past trials."""

from __future__ import annotations

from typing import Any

import numpy as np

from kaggle_digits.tuning.storage import optuna_package

# Trials drawn at random before the sampler begins to learn from them.
FEWEST_RANDOM, MOST_RANDOM = 3, 10


def make_sampler(seed: int, trials: int) -> Any:
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), seeded anew each trial.

    With one seed for all, two processes that work together would try the same, and a search that
    goes on would repeat its first draws.

    Args:
        seed: of the search.
        trials: how many there will be; a third of them, 3 to 10, are drawn at random.
    """
    samplers: Any = optuna_package().samplers
    base: Any = samplers.BaseSampler
    random = min(MOST_RANDOM, max(FEWEST_RANDOM, trials // 3))

    class Seeded(base):  # type: ignore[misc]
        """See make_sampler."""

        def __init__(self) -> None:
            self._number, self._sampler = -1, None

        def _of(self, trial: Any) -> Any:
            if self._sampler is None or self._number != trial.number:
                own = np.random.SeedSequence([seed, trial.number]).generate_state(1)[0]
                self._number = trial.number
                self._sampler = samplers.TPESampler(seed=int(own), n_startup_trials=random)
            return self._sampler

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._of(trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self._of(trial).sample_relative(study, trial, search_space)

        def sample_independent(
            self, study: Any, trial: Any, param_name: str, param_distribution: Any
        ) -> Any:
            return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    return Seeded()
