"""Combine several runs into one set of probabilities, fitted on out-of-fold rows only.

The ensemble and what each of its runs contributes are cross-validated: the predictions of a row
never depend on temperatures, weights or a stack fitted on that row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError, UsageError, check_choice
from kaggle_digits.data.digits import CLASSES, Labels
from kaggle_digits.data.probabilities import Probabilities
from kaggle_digits.ensembling import combiners
from kaggle_digits.ensembling.combiners import FITTERS, METHODS
from kaggle_digits.metrics.calibration import fit_temperature
from kaggle_digits.metrics.scores import Score, predicted_rows, score, score_or_raise, shared_rows
from kaggle_digits.runs.run import Run

CV_FOLDS = 5
# Methods that average probabilities, so every run first gets its temperature.
CALIBRATED = ("mean", "weighted")
FITTED = ("weighted", "stack")


@dataclass(frozen=True)
class Contribution:
    """Metrics of an ensemble minus those of the ensemble without one of its runs.

    If the run helps, ``right``, the difference in rows predicted correctly, is above 0, and
    ``log_loss``, in nats per row, is below 0.
    """

    right: int
    log_loss: float


@dataclass(frozen=True)
class Ensemble:
    """The combined probabilities of several runs and their metrics.

    Attributes:
        test: (n_test, 10) probabilities (for ``vote``: shares of votes).
        oof: (n_train, 10) cross-validated, NaN unless every run has a prediction.
        score: of ``oof``; None, like ``contributions``, without common rows.
        member_scores: of each run's own probabilities on the common rows.
        temperatures: of ``mean`` and ``weighted``, each fitted on all out-of-fold rows of its run,
            1 if it has none; None for the other methods.
        weights: of ``weighted``, summing to 1; None for the other methods.
        stack: the coefficients of ``combiners.stack``; None for the other methods.
        weights_help: of ``weighted``: whether fitted weights have a lower cross-validated log loss
            than equal ones; if not, ``weights`` are equal.
        leak: the first ``Run.leak`` of its runs. Such a run has no out-of-fold predictions, so
            nothing is measured or fitted on those that it has.
    """

    test: Probabilities
    oof: Probabilities
    score: Score | None
    member_scores: list[Score | None]
    contributions: list[Contribution] | None
    temperatures: list[float] | None
    weights: list[float] | None
    weights_help: bool | None
    stack: NDArray[np.float64] | None = None
    leak: str | None = None

    def designs(self, models: Sequence[str]) -> list[dict[str, Any]]:
        """Return ``designs`` of metrics.json: what a mean of the ``models`` needs and gains."""
        return [
            {
                "model": model,
                "val_accuracy": score and score.accuracy,
                "temperature": self.temperatures[i] if self.temperatures else 1.0,
                "weight": self.weights[i] if self.weights else 1 / len(models),
                "adds": asdict(self.contributions[i]) if self.contributions else None,
            }
            for i, (model, score) in enumerate(zip(models, self.member_scores, strict=True))
        ]


class Fold(NamedTuple):
    """One fold of the cross-validation over the common rows.

    ``probabilities`` are (runs, n, 10) out-of-fold, after temperatures fitted without the
    ``validation`` rows, an (n,) mask, if the method is calibrated.
    """

    probabilities: NDArray[np.float32]
    validation: NDArray[np.bool_]


def ensemble_runs(runs: Sequence[Run], labels: Labels, method: str) -> Ensemble:
    """Combine at least two finished runs by one of METHODS.

    ``mean`` and ``weighted`` average probabilities after temperature; ``stack`` is a logistic
    regression on log-probabilities; in a tied ``vote`` the first run decides.

    Raises:
        UsageError: fewer than two runs, one given twice, or an unknown method.
        RunError: the runs were trained on different data or share too few validation rows (see
            ``shared_rows``); for ``weighted`` and ``stack`` also if they have different or
            unrecorded splits or pseudo-labels with a leak.
    """
    check_choice("method", method, METHODS)
    if len({run.name for run in runs}) < max(2, len(runs)):
        raise UsageError("an ensemble needs at least two different runs: `kd.ensemble(RUN, RUN)`")
    first, config = runs[0], runs[0].config()
    for run in runs:
        other = run.config()
        if method in FITTED and not other.get("split_fingerprint"):
            raise RunError(
                f"run {run.name} does not record which rows it held out, so `method={method!r}` "
                "cannot be fitted on it; train it again, or use `method='mean'`"
            )
        for file in ("train", "test"):
            if other["data"].get(f"{file}_sha256") != config["data"].get(f"{file}_sha256"):
                raise RunError(
                    f"runs {first.name} and {run.name} were trained with different {file}.csv; "
                    "an ensemble needs the same data"
                )
        run.metrics()  # raises RunError if the run is not finished
    oofs, leaks = [run.oof(labels) for run in runs], [run.leak() for run in runs]
    for run, oof, leak in zip(runs, oofs, leaks, strict=True):
        if leak and method in FITTED:
            raise RunError(
                f"`method={method!r}` cannot be fitted on run {run.name}: {leak}; "
                "use `method='mean'`"
            )
        if leak:
            oof[:] = np.nan
    splits = {run.name: run.config()["split"] for run in runs}
    shared_rows(dict(zip(splits, oofs, strict=True)), splits)
    if method in FITTED and len({run.config()["split_fingerprint"] for run in runs}) > 1:
        raise RunError(
            f"runs {', '.join(splits)} held out different rows, so `method={method!r}` cannot be "
            "fitted on them; train them with the same split, such as `kd.Split(folds=5, seed=0)`, "
            "or use `method='mean'`"
        )
    ensemble = combine(oofs, [run.test() for run in runs], labels, method)
    return replace(ensemble, leak=next(filter(None, leaks), None))


def combine(
    oofs: Sequence[Probabilities], tests: Sequence[Probabilities], labels: Labels, method: str
) -> Ensemble:
    """Combine the probabilities of runs by a method as in ``ensemble_runs``.

    Per run, ``oofs`` are (n_train, 10), NaN for rows never validated, and ``tests`` (n_test, 10).
    Raises RunError if every run predicted too few rows to fit ``weighted`` or ``stack``, if the
    arrays differ in shape, or if out-of-fold rows are neither NaN nor probabilities.
    """
    shape = (len(labels), CLASSES)
    if any(oof.shape != shape for oof in oofs) or len({test.shape for test in tests}) > 1:
        raise RunError("the runs have predictions of different numbers of images")
    oof, test = np.stack(oofs), np.stack(tests)
    rows = reduce(np.intersect1d, map(predicted_rows, oofs))
    truth = labels[rows]
    if method in FITTED and not len(rows):
        raise RunError(
            f"`method={method!r}` is fitted on out-of-fold rows, and these runs have none "
            "in common; train them with the same split, such as `kd.Split(folds=5, seed=0)`, or "
            "use `method='mean'`"
        )
    if method in FITTED and not are_enough(truth):
        raise RunError(
            f"{len(rows)} common out-of-fold rows are too few to fit `method={method!r}`; "
            "use `method='mean'`"
        )
    calibrated = method in CALIBRATED
    folds = make_folds(oof, labels, rows, calibrated=calibrated)
    validated, fitter = _cross_validate(method, folds, truth, range(len(oofs)))

    # The final combiner is fitted on all common rows.
    common, temperatures = oof[:, rows], None
    if calibrated:
        temperatures = [fit_temperature(run, labels) for run in oofs]
        common = combiners.apply_temperatures(common, temperatures)
        test = combiners.apply_temperatures(test, temperatures)
    combiner = fitter(common, truth)
    weights_help = fitter is FITTERS[method] if method == "weighted" else None
    if weights_help is False:
        combiner = partial(combiners.weighted_mean, weights=np.full(len(oofs), 1 / len(oofs)))
    fitted = combiner.keywords if isinstance(combiner, partial) else {}

    combined_oof = np.full((len(labels), CLASSES), np.nan, np.float32)
    combined_oof[rows] = validated
    return Ensemble(
        test=combiner(test),
        oof=combined_oof,
        score=score(validated, truth),
        member_scores=[score(run[rows], truth) for run in oofs],
        contributions=_contributions(method, folds, truth, validated) if len(rows) else None,
        temperatures=temperatures,
        weights=fitted["weights"].tolist() if "weights" in fitted else None,
        weights_help=weights_help,
        stack=fitted.get("coefficients"),
    )


def are_enough(labels: Labels) -> bool:
    """Whether rows with these labels are enough to cross-validate weights on them."""
    return bool(np.bincount(labels, minlength=CLASSES).max() >= CV_FOLDS)


def score_metrics(oof: Probabilities, labels: Labels) -> dict[str, Any]:
    """Return what metrics.json says about (n_train, 10) out-of-fold probabilities."""
    result = score(oof, labels)
    return {
        "val_accuracy": result and result.accuracy,
        "val_accuracy_ci95": result and result.ci95,
        "val_loss": result and result.log_loss,
        "n_val": result.n if result else 0,
        "temperature": fit_temperature(oof, labels),
    }


def make_folds(
    stacked: NDArray[np.float32], labels: Labels, rows: NDArray[np.int64], *, calibrated: bool
) -> list[Fold]:
    """Split the common rows into at most five folds, stratified by digit.

    scikit-learn's StratifiedKFold is not used because it refuses fewer rows of a digit than folds.

    ``stacked`` are (runs, n_train, 10), NaN for rows never validated; ``rows`` are those that every
    run predicted. If ``calibrated``, each run gets a temperature, fitted on all rows that it
    predicted except the fold's validation rows.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    order = order[np.argsort(labels[rows][order], kind="stable")]
    fold_of = np.empty(len(rows), np.int64)
    fold_of[order] = np.arange(len(rows)) % CV_FOLDS
    folds = []
    for fold in range(min(CV_FOLDS, len(rows))):
        validation, probabilities = fold_of == fold, stacked[:, rows]
        if calibrated:
            fit_on = np.ones(len(labels), bool)
            fit_on[rows[validation]] = False
            temperatures = [fit_temperature(run[fit_on], labels[fit_on]) for run in stacked]
            probabilities = combiners.apply_temperatures(probabilities, temperatures)
        folds.append(Fold(probabilities, validation))
    return folds


def _cross_validate(
    method: str, folds: Sequence[Fold], labels: Labels, members: Sequence[int]
) -> tuple[Probabilities, combiners.Fitter]:
    """Cross-validate an ensemble of the runs at the positions ``members``.

    Returns the (n, 10) probabilities of the common rows and the fitter that made them. The fitted
    weights of method ``weighted`` are used only if they have a lower cross-validated log loss than
    equal weights. This choice between two is made on the rows it is evaluated on.
    """

    def predict(fitter: combiners.Fitter) -> Probabilities:
        combined = np.empty((len(labels), CLASSES), np.float32)
        for fold in folds:
            probabilities, validation = fold.probabilities[list(members)], fold.validation
            combiner = fitter(probabilities[:, ~validation], labels[~validation])
            combined[validation] = combiner(probabilities[:, validation])
        return combined

    fitted = predict(FITTERS[method])
    if method == "weighted":
        equal = predict(FITTERS["mean"])
        if score_or_raise(fitted, labels).log_loss >= score_or_raise(equal, labels).log_loss:
            return equal, FITTERS["mean"]
    return fitted, FITTERS[method]


def _contributions(
    method: str, folds: Sequence[Fold], labels: Labels, ensemble: Probabilities
) -> list[Contribution]:
    """Compare ``ensemble`` with cross-validated ensembles that each leave out one of the runs."""
    whole, members = score_or_raise(ensemble, labels), range(len(folds[0].probabilities))
    contributions = []
    for left_out in members:
        others = [member for member in members if member != left_out]
        without = score_or_raise(_cross_validate(method, folds, labels, others)[0], labels)
        right, log_loss = whole.correct - without.correct, whole.log_loss - without.log_loss
        contributions.append(Contribution(right, log_loss))
    return contributions
