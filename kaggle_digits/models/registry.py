"""Name → builder. A builder of your own is named ``package.module:function``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.models import baselines, cnn, dense, linear, strong
from kaggle_digits.models.backend import suppress_native_stderr

# Takes keyword options and returns a Keras model (28, 28, 1) float32 → 10 logits (or, ending in
# softmax, probabilities), or an unfitted scikit-learn classifier for (n, 784) float32.
Builder = Callable[..., Any]

BUILDERS: dict[str, Builder] = {
    "linear": linear.linear,
    "softmax": linear.softmax,
    "mlp": dense.mlp,
    "dense": dense.dense,
    "dense-deep": dense.dense_deep,
    "cnn": cnn.cnn,
    "fast": strong.fast,
    "strong": strong.strong,
    "strong-3x3": strong.strong_3x3,
    "strong-upright": strong.strong_upright,
    "strong-evened": strong.strong_evened,
    "strong-5x5": strong.strong_5x5,
    "keras-convnet": baselines.keras_convnet,
    "notebook-convnet": baselines.notebook_convnet,
}
# These are trained and read without TensorFlow.
SKLEARN_MODELS = {"linear", "mlp"}


def find_builder(model: str) -> Builder:
    """The builder called ``model``.

    Raises:
        UsageError: no such model; names those that stand.
        ModelError: the user's module cannot be imported.
    """
    if ":" in model:
        return _own_builder(model)
    try:
        return BUILDERS[model]
    except KeyError:
        raise UsageError(
            f"no model called {model!r}; one of: {', '.join(BUILDERS)}, "
            "or your own as package.module:function"
        ) from None


def build(model: str, options: dict[str, Any], *, rows: int, batch_size: int) -> Any:
    """Call the builder with the options given, and with ``rows`` and ``batch_size`` if it asks.

    Raises:
        UsageError: the model has no such option, or an option's value makes no sense.
        ModelError: the builder failed or returned neither a Keras nor a scikit-learn model.
    """
    builder = find_builder(model)
    asked = {"rows": rows, "batch_size": batch_size}
    accepted = inspect.signature(builder).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    for name in options:
        if name not in accepted and not takes_any:
            has = [f"--{n}" for n in accepted if n not in asked]
            raise UsageError(
                f"model {model} has no option --{name}; it has {', '.join(has) or 'none'}"
            )
    options = {**options, **{name: n for name, n in asked.items() if name in accepted}}
    try:
        built = builder(**options)
    except Exception as error:
        raise ModelError(f"model {model} could not be built: {error}") from error
    if not hasattr(built, "predict_proba") and not hasattr(built, "compute_output_shape"):
        raise ModelError(
            f"model {model} returned {type(built).__name__}; a Keras model or a scikit-learn "
            "classifier with predict_proba is expected"
        )
    return built


def _own_builder(model: str) -> Builder:
    module_name, _, function = model.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` does: the user's module stands where they type
        sys.path.insert(0, here)
    try:
        with suppress_native_stderr():
            builder = getattr(importlib.import_module(module_name), function)
    except ImportError as error:
        raise ModelError(f"--model {model}: cannot import {module_name} ({error})") from error
    except AttributeError:
        raise ModelError(f"--model {model}: {module_name} has no function {function}") from None
    if not callable(builder):
        raise ModelError(f"--model {model}: {function} is not a function")
    return builder  # type: ignore[no-any-return]
