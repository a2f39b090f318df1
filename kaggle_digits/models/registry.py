"""Model names and their builders. A builder of the user's is named ``package.module:function``."""

import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from kaggle_digits.core.errors import DigitsError, ModelError, UsageError, did_you_mean, one_line
from kaggle_digits.models import architectures
from kaggle_digits.models.backend import importing_keras
from kaggle_digits.models.io import add_current_folder_to_path

# A function of keyword options that returns a Keras model (28, 28, 1) float32 → 10 logits (or,
# ending in softmax, probabilities), or an unfitted scikit-learn classifier of (n, 784) float32.
Builder = Callable[..., Any]

BUILDERS: dict[str, Builder] = {
    "linear": architectures.linear,
    "softmax": architectures.softmax,
    "mlp": architectures.mlp,
    "dense": architectures.dense,
    "dense-deep": partial(architectures.dense, widths=(500, 200, 50), dropout=0.3),
    "cnn": architectures.cnn,
    "fast": architectures.fast,
    "strong": architectures.strong,
    "strong-3x3": architectures.strong_3x3,
    "keras-convnet": architectures.keras_convnet,
    "notebook-convnet": architectures.notebook_convnet,
}
# Trained and read without TensorFlow.
SKLEARN_MODELS = {"linear", "mlp"}
# Settings of a recipe that these ignore.
NETWORK_SETTINGS = {"optimizer", "weight_decay", "label_smoothing", "ema", "augment"}
# Generated code, and the folders of Python, of installed packages and of this package.
NOT_THE_USERS = ("<", *sysconfig.get_paths().values(), str(Path(__file__).parents[1]))
# What a builder that asks for it is told besides its options.
CONTEXT = ("rows", "batch_size")
REMOVED = {"strong-upright", "strong-evened", "strong-5x5"}


# Functions of this process that were given as a model, by their name ``module:function``.
FUNCTIONS: dict[str, Builder] = {}


def register_function(builder: Builder) -> str:
    """Make a function a model of this process and return its name, ``module:function``."""
    function = builder.func if isinstance(builder, partial) else builder
    name = getattr(function, "__qualname__", type(function).__qualname__)
    name = f"partial({name})" if isinstance(builder, partial) else name
    name = f"{function.__module__}:{name}"
    FUNCTIONS[name] = builder
    return name


def is_user_code(model: str) -> bool:
    """Whether ``model`` names a function of the user's, as ``package.module:function``."""
    return ":" in model


def find_builder(model: str) -> Builder:
    """Return the builder of a registered model or of the user's ``package.module:function``.

    Raises UsageError for an unknown model, ModelError if the user's module cannot be imported.
    """
    if model in FUNCTIONS:
        return FUNCTIONS[model]
    if is_user_code(model):
        return _import_builder(model)
    if model in REMOVED:
        raise UsageError(f"model {model} was removed in 0.2; use strong")
    if model not in BUILDERS:
        names = f"{', '.join(BUILDERS)}, or your own as package.module:function"
        hint = did_you_mean(model, BUILDERS)
        raise UsageError(f"no model called {model!r}; {hint}one of: {names}")
    return BUILDERS[model]


def check_options(model: str, options: Iterable[str]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of the builder; raise UsageError if it has no such option."""
    builder = find_builder(model)
    with explain_user_errors(f"model {model} could not be built"):
        parameters = inspect.signature(builder).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in options:
        if name not in parameters and not takes_any:
            has = ", ".join(f"`{n}`" for n in parameters if n not in CONTEXT) or "none"
            raise UsageError(f"model {model} has no option `{name}`; it has {has}")
    return parameters


def build(model: str, options: dict[str, Any], *, rows: int, batch_size: int) -> Any:
    """Call the builder with ``options``, and with ``rows`` and ``batch_size`` if it takes them.

    Raises UsageError if it has no such option, ModelError if it fails or returns neither a Keras
    nor a scikit-learn model.
    """
    parameters = check_options(model, options)
    builder, context = find_builder(model), {"rows": rows, "batch_size": batch_size}
    given = options | {name: value for name, value in context.items() if name in parameters}
    with explain_user_errors(f"model {model} could not be built"):
        built = builder(**given)
    if inspect.isclass(built):
        raise ModelError(
            f"model {model} returned the class {built.__name__}; return {built.__name__}()"
        )
    if not hasattr(built, "predict_proba") and not hasattr(built, "compute_output_shape"):
        expected = "a Keras model or a scikit-learn classifier with predict_proba"
        if hasattr(built, "decision_function"):
            expected += "; wrap it: sklearn.calibration.CalibratedClassifierCV"
        raise ModelError(f"model {model} returned {type(built).__name__}; expected {expected}")
    return built


@contextmanager
def explain_user_errors(problem: str, *, every: bool = True) -> Iterator[None]:
    """Raise ModelError for an exception of the user's code: ``problem``, reason, file and line.

    With ``every``, also for those that packages raise because of it. What the code prints goes to
    stderr, because stdout holds the results of a command.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except DigitsError:
        raise
    except (Exception, SystemExit) as error:
        place = f" ({own})" if (own := user_code_line(error)) else ""
        if not place and not every:
            raise
        reason = f"{type(error).__name__}: {one_line(error)}".rstrip(": ")
        raise ModelError(f"{problem}: {reason}{place}") from error


def user_code_line(error: BaseException) -> str:
    """Return the file and line of the user's own code in which ``error`` was raised, or ""."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{Path(error.filename).name}, line {error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(NOT_THE_USERS) and "autograph" not in frame.filename
    ]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""


def _import_builder(model: str) -> Builder:
    module_name, _, function = model.partition(":")
    add_current_folder_to_path()
    try:
        with importing_keras(), explain_user_errors(f"cannot import {module_name}"):
            module = importlib.import_module(module_name)
    except ModelError as error:
        hint = ""
        if isinstance(error.__cause__, ModuleNotFoundError) and not user_code_line(error.__cause__):
            stem = module_name.rpartition("/")[2].removesuffix(".py")
            hint = f"; {stem}.py in the current folder is {stem}:{function or 'FUNCTION'}"
        raise ModelError(f"model {model}: {error}{hint}") from error.__cause__
    builder = getattr(module, function, None)
    if builder is None:
        place = getattr(module, "__file__", None) or module_name
        raise ModelError(f"model {model}: {module_name} has no function {function} ({place})")
    if not inspect.isclass(builder) and hasattr(builder, "fit"):
        raise ModelError(
            f"model {model}: {function} is a model; write a function that builds and returns a "
            "new one, because each fold trains its own"
        )
    if not callable(builder):
        raise ModelError(f"model {model}: {function} is not a function")
    return builder  # type: ignore[no-any-return]


def used_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a recipe's JSON that its model uses, with the model's own defaults."""
    model = recipe.get("model", "")
    unused = NETWORK_SETTINGS if model in SKLEARN_MODELS else set()
    used = {key: value for key, value in recipe.items() if key not in unused}
    if model in BUILDERS:
        for name, parameter in inspect.signature(BUILDERS[model]).parameters.items():
            if used.get(name, ...) is None:
                used[name] = parameter.default
    return used
