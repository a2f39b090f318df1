"""Accuracy with its 95 % interval, and log loss; McNemar's test of two models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.data.digits import Labels
from kaggle_digits.data.probabilities import check_probabilities
from kaggle_digits.data.splits import describe_split

# Probabilities are clipped here before a logarithm, as scikit-learn's log_loss does for float32:
# a single probability of 0 must not make a loss infinite.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Score:
    """Accuracy, 0 to 1, with its 95 % Wilson interval, and log loss in nats, of ``n`` rows."""

    accuracy: float
    ci95: tuple[float, float]
    log_loss: float
    n: int

    @property
    def correct(self) -> int:
        """Number of rows predicted correctly."""
        return round(self.accuracy * self.n)


def score(probabilities: NDArray[np.floating], labels: Labels) -> Score | None:
    """Score the rows that have a prediction; return None if none has.

    In ``probabilities`` (n, 10), rows of NaN were never validated. Raises RunError if ``labels``,
    (n,) integers 0 to 9, differ in length, or another row is not finite, negative or sums not to 1.
    """
    if len(probabilities) != len(labels):
        raise RunError(
            f"{len(probabilities)} predictions for {len(labels)} labels: "
            "the run was trained on other data; `kd.open_run(RUN).config()` shows which"
        )
    rows = predicted_rows(probabilities)
    if not len(rows):
        return None
    predicted, truth = probabilities[rows], labels[rows]
    correct = int((predicted.argmax(axis=1) == truth).sum())
    of_truth = predicted[np.arange(len(rows)), truth].astype(np.float64)
    log_loss = float(-np.log(np.clip(of_truth, SMALLEST_PROBABILITY, 1)).mean())
    return Score(correct / len(rows), wilson_interval(correct, len(rows)), log_loss, len(rows))


def score_or_raise(probabilities: NDArray[np.floating], labels: Labels) -> Score:
    """Score as ``score`` does, and raise RunError if no row has a prediction."""
    result = score(probabilities, labels)
    if result is None:
        raise RunError("there are no predictions to evaluate")
    return result


def predicted_rows(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the ascending indices of the rows of (n, 10) ``probabilities`` that are not NaN.

    Raises RunError for rows that are neither NaN nor probabilities: dropping or scoring them would
    change the accuracy without a word.
    """
    try:
        check_probabilities(probabilities, nan_rows=True)
    except ValueError as error:
        raise RunError(f"the predictions cannot be evaluated: {error}") from error
    return np.flatnonzero(~np.isnan(probabilities).any(axis=1))


def shared_rows(
    oofs: Mapping[str, NDArray[np.floating]], splits: Mapping[str, Mapping[str, Any]]
) -> NDArray[np.int64]:
    """Return the ascending indices of the rows that every run has a prediction of.

    ``oofs`` are run → (n, 10), NaN for rows that it did not hold out; ``splits`` are run → the
    settings of its split. Raises RunError for fewer than half the rows of the run that has fewest:
    what is measured on a handful of rows says nothing. A run without any gives no rows.
    """
    held_out = {run: predicted_rows(oof) for run, oof in oofs.items()}
    rows = reduce(np.intersect1d, held_out.values())
    smallest = min(map(len, held_out.values()))
    if len(rows) < smallest / 2:
        texts = (
            f"{run}: {describe_split(split)}"
            + (f" of {split['rows']:,} rows" if split.get("rows") else "")
            + f", seed {split.get('seed')}"
            for run, split in splits.items()
        )
        raise RunError(
            f"runs {', '.join(oofs)} held out different rows ({'; '.join(texts)}): they share only "
            f"{len(rows):,} of {smallest:,}, too few to measure anything; train them with the same "
            "split, such as `kd.Split(folds=5, seed=0)`"
        )
    return rows


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the share ``correct`` / ``n``, n at least 1.

    Unlike the normal approximation it stays inside 0 to 1 and has a width at 0 and n correct
    (Wilson 1927). scipy.stats has it too, but importing that takes longer than a second.
    """
    share = correct / n
    middle = share + Z95**2 / (2 * n)
    spread = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    scale = 1 + Z95**2 / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def accuracy_interval(accuracy: float | None, n: int) -> tuple[float, float] | None:
    """Return the 95 % Wilson interval of an ``accuracy`` on n rows; None if it is not known."""
    return wilson_interval(round(accuracy * n), n) if accuracy is not None and n else None


@dataclass(frozen=True)
class McNemarResult:
    """Rows that only the second (``gained``) or only the first (``lost``) model has correct.

    ``p_value`` is that of the exact two-sided McNemar test, a binomial test of ``gained`` in
    ``gained + lost`` at ½ (McNemar, Psychometrika 12, 1947).
    """

    gained: int
    lost: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p_value < 0.05

    @property
    def p_text(self) -> str:
        """The p-value for a text: "= 0.0039" or "< 0.0001"."""
        return "< 0.0001" if self.p_value < 0.0001 else f"= {self.p_value:.4f}"


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemarResult:
    """Compare two models: ``first`` and ``second`` mark the rows each predicts correctly, (n,)."""
    from scipy.stats import binomtest

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return McNemarResult(gained, lost, p_value)


def summarize_seeds(
    metrics: Sequence[Mapping[str, Any]], *, same_rows: bool
) -> dict[str, Any] | None:
    """Summarize the accuracies of runs that differ in their seed; None if one has no accuracy.

    ``metrics`` are those of at least two runs, as in metrics.json. Returns mean,
    standard_deviation, lowest, highest, ci95 of the mean, and the method of that interval. With
    ``same_rows``, all runs held out the same rows, and the variance of the choice of these rows is
    added. Otherwise the runs share training rows, and the variance is s² (1/k + n_val / n_train),
    as in Nadeau and Bengio 2003, "Inference for the generalization error". If all accuracies are
    equal, there is no variance to estimate, and the interval is that of one run.
    """
    from scipy.stats import t

    accuracies = [each["val_accuracy"] for each in metrics]
    if None in accuracies:
        return None
    count, mean, n_val = len(accuracies), float(np.mean(accuracies)), metrics[0]["n_val"]
    deviation = float(np.std(accuracies, ddof=1))
    variance = deviation**2 * (1 / count + n_val / metrics[0]["n_train_rows"])
    method = "Student's t, wider because the runs share training rows (Nadeau and Bengio 2003)"
    if same_rows:
        variance = deviation**2 / count + mean * (1 - mean) / n_val
        method = f"Student's t, wider because all runs are scored on the same {n_val:,} rows"
    half = float(t.ppf(0.975, count - 1)) * math.sqrt(variance)
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    lowest, highest = min(accuracies), max(accuracies)
    if lowest == highest:
        low, high = wilson_interval(round(mean * n_val), n_val)
        method = "Wilson's for one run, because all have the same accuracy"
    return {
        **{"mean": mean, "standard_deviation": deviation, "lowest": lowest, "highest": highest},
        **{"ci95": [low, high], "method": method},
    }
