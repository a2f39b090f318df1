"""Linear models: one weight per pixel and class, fitted by scikit-learn or Keras."""

from __future__ import annotations

from typing import Any

from kaggle_digits.models.backend import keras


def linear(*, rows: int, l2: float = 1e-4) -> Any:
    """scikit-learn's multinomial logistic regression, fitted by L-BFGS.

    Args:
        rows: the number of training rows; needed to convert ``l2`` to scikit-learn's C.
        l2: λ of mean log loss + λ ∑ w², as in Keras.
    """
    from sklearn.linear_model import LogisticRegression

    # scikit-learn minimizes ½ ∑ w² + C ∑ loss, so C = 1 / (2 λ rows).
    return LogisticRegression(C=1 / (2 * max(l2, 1e-12) * rows), max_iter=200, tol=1e-3)


def softmax(*, l2: float = 1e-6) -> Any:
    """The same model as one dense layer, trained by gradient descent in Keras."""
    k = keras()
    return k.Sequential(
        [
            k.layers.Flatten(),
            k.layers.Dense(10, kernel_regularizer=k.regularizers.L2(l2) if l2 else None),
        ]
    )
