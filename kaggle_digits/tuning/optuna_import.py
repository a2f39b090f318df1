"""Import Optuna, which is an optional dependency, and silence its log."""

import logging

from kaggle_digits.core.errors import UsageError

try:
    import optuna
except ModuleNotFoundError as error:
    raise UsageError(
        f"kd tune needs packages that are not installed ({error.name}); install them: "
        "pip install 'kaggle-digits[tune]'"
    ) from error

optuna.logging.set_verbosity(logging.CRITICAL)

__all__ = ["optuna"]
