"""Packages that only some commands need (the extras in pyproject.toml), and how to install them."""

import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from kaggle_digits.core.errors import UsageError

NAME = "kaggle-digits"


def require(what: str, *modules: str, extra: str = "") -> None:
    """Raise UsageError if a module of ``extra`` that ``what`` needs is not installed.

    No module is imported. Without ``extra``, they belong to packages of their own names.
    """
    for module in modules:
        if find_spec(module) is None:
            package = module.replace("_", "-")
            install = install_command(extra) if extra else install_packages(package)
            raise UsageError(f"{what} needs {package}; install it: {install}")


@contextmanager
def needs(what: str, extra: str) -> Iterator[None]:
    """Raise UsageError if an import in the block fails: ``what`` needs a package of ``extra``."""
    try:
        yield
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        message = f"{what} needs {package}; install it: {install_command(extra)}"
        raise UsageError(message) from error


def install_command(extra: str) -> str:
    """Return the command that installs the packages of ``extra`` in this environment.

    Except in a checkout, the packages themselves are named, because the toolkit may have been
    installed from a file and be in no package index.
    """
    try:
        installed = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:  # used from a folder on PYTHONPATH
        return f"pip install '.[{extra}]' in the checkout"
    source = _source(installed)
    if source.get("dir_info", {}).get("editable") and not _is_tool():
        checkout = Path(url2pathname(urlsplit(source["url"]).path))
        folder = "." if checkout == Path.cwd() else checkout
        return f"{_pip_install()} -e {_quote(f'{folder}[{extra}]')}"
    requirements = [line.partition(";") for line in installed.requires or []]
    in_extra = re.compile(rf"extra == ['\"]{extra}['\"]")
    return install_packages(*(name.strip() for name, _, m in requirements if in_extra.search(m)))


def install_packages(*packages: str) -> str:
    """Return the command that installs ``packages`` in this environment.

    An environment of ``uv tool`` or pipx is changed by that tool, and one of ``uv venv`` has no
    pip.
    """
    quoted = " ".join(map(_quote, packages))
    if _receipt().exists():
        return _uv_tool_install(packages)
    if _is_tool():
        return f"pipx inject {Path(sys.prefix).name} {quoted}"
    return f"{_pip_install()} {quoted}"


def _receipt() -> Path:
    return Path(sys.prefix, "uv-receipt.toml")


def _is_tool() -> bool:
    """Return whether ``uv tool`` or pipx made this environment."""
    return _receipt().exists() or Path(sys.prefix, "pipx_metadata.json").exists()


def _source(installed: metadata.Distribution) -> dict[str, Any]:
    """Return where the toolkit was installed from (PEP 610); empty if from a package index."""
    source: dict[str, Any] = json.loads(installed.read_text("direct_url.json") or "{}")
    return source


def _uv_tool_install(packages: tuple[str, ...]) -> str:
    """Return the command that installs the tool again, which removes packages that it omits."""
    receipt = tomllib.loads(_receipt().read_text(encoding="utf-8")).get("tool", {})
    earlier = [
        entry["name"] + entry.get("specifier", "")
        for entry in receipt.get("requirements", [])
        if entry["name"] != NAME and "path" not in entry
    ]
    together = " ".join(f"--with {_quote(each)}" for each in dict.fromkeys([*earlier, *packages]))
    source = _source(metadata.distribution(NAME))
    itself = _quote(f"{NAME} @ {source['url']}") if "url" in source else NAME
    editable = "--editable " if source.get("dir_info", {}).get("editable") else ""
    return f"uv tool install {together} {editable}{itself}"


def _pip_install() -> str:
    """Return how packages get into the environment of this Python, even if it is not active."""
    if find_spec("pip"):
        pip = shutil.which("pip")
        is_own = pip is not None and Path(pip).parent == Path(sys.executable).parent
        return "pip install" if is_own else f"{_quote(sys.executable)} -m pip install"
    active = Path(os.environ.get("VIRTUAL_ENV", ".venv")).absolute()
    python = "" if active == Path(sys.prefix) else f" --python {_quote(sys.executable)}"
    return f"uv pip install{python}"


def _quote(text: str) -> str:
    """Quote a word for the shell; cmd and PowerShell of Windows share only double quotes."""
    return f'"{text}"' if sys.platform == "win32" else shlex.quote(text)
