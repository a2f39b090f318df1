"""Import Optuna, which is an optional dependency, and silence its log."""

import logging

from kaggle_digits.core.extras import missing_package

try:
    import optuna
except ModuleNotFoundError as error:
    raise missing_package("`kd.tune()`", "tune", error) from error

optuna.logging.set_verbosity(logging.CRITICAL)

__all__ = ["optuna"]
