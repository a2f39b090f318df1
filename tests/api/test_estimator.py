"""DigitClassifier is a scikit-learn classifier."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import kaggle_digits as kd
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.training.recipe import EnsembleRecipe

FAST = kd.Recipe("softmax", epochs=2, batch_size=32, learning_rate=0.05)
# scikit-learn's checks train on some random numbers, which are no images.
NO_IMAGES = (
    *("check_fit_score_takes_y", "check_estimators_overwrite_params", "check_fit_idempotent"),
    *("check_dont_overwrite_parameters", "check_estimators_fit_returns_self"),
    *("check_readonly_memmap_input", "check_n_features_in_after_fitting", "check_n_features_in"),
    *("check_estimators_dtypes", "check_dtype_object", "check_pipeline_consistency"),
    *("check_estimators_nan_inf", "check_estimators_pickle", "check_f_contiguous_array_estimator"),
    *("check_classifier_data_not_an_array", "check_classifiers_classes", "check_supervised_y_2d"),
    *("check_classifiers_train", "check_methods_sample_order_invariance", "check_dict_unchanged"),
    *("check_methods_subset_invariance", "check_fit2d_1feature", "check_fit_check_is_fitted"),
    "check_fit2d_predict1d",
)


class AnyFeatures(kd.DigitClassifier):
    """Makes images of those random numbers, so that nothing else than the images is excepted."""

    def _images(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        scaled = np.clip(pixels * 20 + 128, 0, 255).astype(np.uint8)
        padded = np.pad(scaled, ((0, 0), (0, 784 - scaled.shape[1])))
        return padded.reshape(-1, 28, 28)


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass() -> None:
    check_estimator(AnyFeatures("linear"))


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_without_data_pass() -> None:
    reasons = dict.fromkeys(NO_IMAGES, "its features are not 784 pixels from 0 to 255")
    results = check_estimator(kd.DigitClassifier("linear"), expected_failed_checks=reasons)
    failed = {each["check_name"] for each in results if each["status"] == "xfail"}
    assert failed == set(NO_IMAGES)


def test_cross_validation_and_pipelines(dataset: Dataset) -> None:
    pixels = dataset.train.images.reshape(len(dataset.train), -1)[:200]
    labels = dataset.labels[:200]
    scores = cross_val_score(kd.DigitClassifier("linear"), pd.DataFrame(pixels), labels, cv=2)
    assert scores.mean() > 0.7
    pipeline = make_pipeline(FunctionTransformer(), kd.DigitClassifier(FAST))
    assert pipeline.fit(pixels, labels).score(pixels, labels) > 0.7


@pytest.mark.parametrize("recipe", [FAST, "linear", lambda: RandomForestClassifier(3), GaussianNB])
def test_fitted_classifiers_can_be_pickled(recipe: Any, dataset: Dataset) -> None:
    images, labels = dataset.train.images[:300], dataset.labels[:300]
    classifier = kd.DigitClassifier(recipe).fit(images, labels)
    expected = classifier.predict_proba(images)
    assert expected.shape == (300, 10)
    assert np.allclose(expected.sum(axis=1), 1)
    copy = clone(classifier)
    assert not hasattr(copy, "models_")
    assert np.allclose(copy.fit(images, labels).predict_proba(images), expected, atol=1e-6)
    classifier.set_params(recipe="linear")  # a lambda cannot be pickled
    assert np.allclose(pickle.loads(pickle.dumps(classifier)).predict_proba(images), expected)


def test_labels_of_any_type_and_ensemble_recipes(dataset: Dataset) -> None:
    rows = np.flatnonzero(dataset.labels < 3)[:120]
    names = np.array(["zero", "one", "two"])[dataset.labels[rows]]
    recipe = EnsembleRecipe("two", (FAST, kd.Recipe("linear")))
    classifier = kd.DigitClassifier(recipe, epochs=1).fit(dataset.train.images[rows], names)
    assert len(classifier.models_) == 2
    assert classifier.get_params() == {"recipe": recipe, "epochs": 1, "random_state": 0}
    assert classifier.classes_.tolist() == ["one", "two", "zero"]
    assert classifier.score(dataset.train.images[rows], names) > 0.8


def test_wrong_data_are_value_errors(dataset: Dataset) -> None:
    images, labels = dataset.train.images[:20], dataset.labels[:20]
    with pytest.raises(ValueError, match="expected whole numbers 0 to 255"):
        kd.DigitClassifier().fit(images / 255, labels)
    with pytest.raises(ValueError, match="20 class"):
        kd.DigitClassifier().fit(images, np.arange(20))
