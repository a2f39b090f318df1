"""Import Optuna, which is an optional dependency, and silence its log."""

import logging

from kaggle_digits.core.extras import needs

with needs("`kd.tune()`", "tune"):
    import optuna

optuna.logging.set_verbosity(logging.CRITICAL)

__all__ = ["optuna"]
