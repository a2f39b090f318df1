"""Model names and their builders. A builder of the user's is named ``package.module:function``."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import ModelError, UsageError
from kaggle_digits.models import architectures
from kaggle_digits.models.backend import suppress_native_stderr

# A function of keyword options that returns a Keras model (28, 28, 1) float32 → 10 logits (or,
# ending in softmax, probabilities), or an unfitted scikit-learn classifier of (n, 784) float32.
Builder = Callable[..., Any]

BUILDERS: dict[str, Builder] = {
    "linear": architectures.linear,
    "softmax": architectures.softmax,
    "mlp": architectures.mlp,
    "dense": architectures.dense,
    "dense-deep": architectures.dense_deep,
    "cnn": architectures.cnn,
    "fast": architectures.fast,
    "strong": architectures.strong,
    "strong-3x3": architectures.strong_3x3,
    "keras-convnet": architectures.keras_convnet,
    "notebook-convnet": architectures.notebook_convnet,
}
# Trained and read without TensorFlow.
SKLEARN_MODELS = {"linear", "mlp"}
REMOVED = {"strong-upright", "strong-evened", "strong-5x5"}


def is_user_code(model: str) -> bool:
    """Whether ``model`` names a function of the user's, as ``package.module:function``."""
    return ":" in model


def find_builder(model: str) -> Builder:
    """Return the builder of a registered model or of the user's ``package.module:function``.

    Raises UsageError for an unknown model, ModelError if the user's module cannot be imported.
    """
    if is_user_code(model):
        return _import_builder(model)
    if model in REMOVED:
        raise UsageError(f"model {model} was removed in 0.2; use strong")
    if model not in BUILDERS:
        names = f"{', '.join(BUILDERS)}, or your own as package.module:function"
        raise UsageError(f"no model called {model!r}; one of: {names}")
    return BUILDERS[model]


def build(model: str, options: dict[str, Any], *, rows: int, batch_size: int) -> Any:
    """Call the builder with ``options``, and with ``rows`` and ``batch_size`` if it takes them.

    Raises:
        UsageError: the model has no such option.
        ModelError: the builder failed or returned neither a Keras nor a scikit-learn model.
    """
    builder = find_builder(model)
    context = {"rows": rows, "batch_size": batch_size}
    parameters = inspect.signature(builder).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in options:
        if name not in parameters and not takes_any:
            has = ", ".join(f"--{n}" for n in parameters if n not in context) or "none"
            raise UsageError(f"model {model} has no option --{name}; it has {has}")
    try:
        built = builder(**options | {n: v for n, v in context.items() if n in parameters})
    except Exception as error:
        raise ModelError(f"model {model} could not be built: {error}") from error
    if not hasattr(built, "predict_proba") and not hasattr(built, "compute_output_shape"):
        expected = "a Keras model or a scikit-learn classifier with predict_proba"
        raise ModelError(f"model {model} returned {type(built).__name__}; expected {expected}")
    return built


def _import_builder(model: str) -> Builder:
    module_name, _, function = model.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # find the user's module in the current folder, as `python -m` does
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
