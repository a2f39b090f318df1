"""Packages that only some commands need (the extras in pyproject.toml), and how to install them."""

import json
import sys
from importlib import metadata
from pathlib import Path

from kaggle_digits.core.errors import UsageError

NAME = "kaggle-digits"


def missing_package(what: str, extra: str, error: ImportError) -> UsageError:
    """Return the error that ``what`` needs a package of ``extra``, with the command for it."""
    package = (error.name or str(error)).partition(".")[0]
    return UsageError(f"{what} needs {package}; install it: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs the packages of ``extra`` in this environment.

    An environment of ``uv tool`` or pipx has no pip. Except in a checkout, the packages themselves
    are named, because the toolkit may have been installed from a file and be in no package index.
    """
    try:
        installed = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:  # used from a folder on PYTHONPATH
        return f"pip install '.[{extra}]' in the checkout"
    source = json.loads(installed.read_text("direct_url.json") or "{}")
    if source.get("dir_info", {}).get("editable"):
        return f"pip install -e '.[{extra}]'"
    requirements = [line.partition(";") for line in installed.requires or []]
    packages = [name.strip() for name, _, marker in requirements if f'extra == "{extra}"' in marker]
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").exists():
        together = " ".join(f"--with '{package}'" for package in packages)
        itself = f"'{NAME} @ {source['url']}'" if "url" in source else NAME
        return f"uv tool install {together} {itself}"
    quoted = " ".join(f"'{package}'" for package in packages)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject {prefix.name} {quoted}"
    return f"pip install {quoted}"
