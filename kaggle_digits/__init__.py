"""A toolkit for Kaggle's Digit Recognizer.

    import kaggle_digits as kd

    kd.fetch("sample", "data")
    run = kd.train(kd.load("data"), "dense", kd.Split(folds=5))
    print(run.score)
    run.plot_confusion()

Each name is imported when it is first used, so importing this package is fast. The names and their
modules are listed in __init__.pyi, which type checkers read, too.
"""

import ast
import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_MODULE_OF = {
    alias.name: str(node.module)
    for node in _STUB.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
__all__ = list(_MODULE_OF)


class _Package(ModuleType):
    """Keeps ``kd.runs`` the function when Python imports the package kaggle_digits.runs."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _MODULE_OF or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "predict_again":
        message = "kaggle_digits.predict_again is deprecated; use kaggle_digits.predict_test"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        name = "predict_test"
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
