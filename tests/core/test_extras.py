"""The command that installs an extra fits the environment."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from kaggle_digits.core.errors import UsageError
from kaggle_digits.core.extras import install_command, install_packages, needs, require

WHEEL: dict[str, object] = {"url": "file:///kaggle_digits-1.0-py3-none-any.whl", "archive_info": {}}
CHECKOUT: dict[str, object] = {"url": Path.cwd().as_uri(), "dir_info": {"editable": True}}
ELSEWHERE: dict[str, object] = {"url": "file:///kaggle-digits", "dir_info": {"editable": True}}
FOLDER: dict[str, object] = {"url": "file:///kaggle-digits", "dir_info": {}}
METADATA = """Metadata-Version: 2.4
Name: kaggle-digits
Version: 1.0
Requires-Dist: numpy>=2.0
Requires-Dist: optuna>=4.9; extra == "tune"
Requires-Dist: onnx>=1.17; extra == 'onnx'
Requires-Dist: tf2onnx>=1.16; python_version < "3.14" and extra == "onnx"
"""


def installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object] | None
) -> None:
    """Let the toolkit be installed from ``source`` (PEP 610); None is a package index."""
    folder = tmp_path / "kaggle_digits-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    if source:
        (folder / "direct_url.json").write_text(json.dumps(source))
    found = metadata.Distribution.at(folder)
    monkeypatch.setattr(metadata, "distribution", lambda name: found)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))


@pytest.mark.parametrize(
    ("source", "marker", "command"),
    [
        (CHECKOUT, None, "pip install -e '.[tune]'"),
        (ELSEWHERE, None, "pip install -e '/kaggle-digits[tune]'"),
        (WHEEL, None, "pip install 'optuna>=4.9'"),
        (FOLDER, None, "pip install 'optuna>=4.9'"),
        (None, None, "pip install 'optuna>=4.9'"),
        (
            WHEEL,
            "uv-receipt.toml",
            f"uv tool install --with 'optuna>=4.9' 'kaggle-digits @ {WHEEL['url']}'",
        ),
        (None, "uv-receipt.toml", "uv tool install --with 'optuna>=4.9' kaggle-digits"),
        (
            ELSEWHERE,
            "uv-receipt.toml",
            "uv tool install --with 'optuna>=4.9' --editable "
            "'kaggle-digits @ file:///kaggle-digits'",
        ),
        (WHEEL, "pipx_metadata.json", "pipx inject {prefix} 'optuna>=4.9'"),
    ],
)
def test_command_fits_the_environment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, object] | None,
    marker: str | None,
    command: str,
) -> None:
    installed(tmp_path, monkeypatch, source)
    if marker:
        (tmp_path / marker).touch()
    assert install_command("tune") == command.format(prefix=tmp_path.name)


def test_all_packages_of_an_extra_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, WHEEL)
    assert install_command("onnx") == "pip install 'onnx>=1.17' 'tf2onnx>=1.16'"


def test_command_of_uv_tool_keeps_packages_added_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, None)
    packages = '[{name = "kaggle-digits"}, {name = "h11", specifier = ">=0.14"}, {name = "ray"}]'
    (tmp_path / "uv-receipt.toml").write_text(f"[tool]\nrequirements = {packages}\n")
    before = "--with 'h11>=0.14' --with ray"
    assert install_command("tune") == f"uv tool install {before} --with 'optuna>=4.9' kaggle-digits"


def test_environment_that_is_not_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    assert install_packages("six") == f"{tmp_path}/bin/python -m pip install six"
    monkeypatch.setitem(sys.modules, "pip", None)  # as in the environments of uv
    assert install_packages("six") == f"uv pip install --python {tmp_path}/bin/python six"
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert install_packages("six") == "uv pip install six"


def test_require_imports_nothing() -> None:
    require("kd", "turtle")
    assert "turtle" not in sys.modules
    needed = "kd needs no-such-module; install it: pip install"
    with pytest.raises(UsageError, match=f"{needed} no-such-module"):
        require("kd", "json", "no_such_module")
    with pytest.raises(UsageError, match=f"{needed} .*tune"):
        require("kd", "json", "no_such_module", extra="tune")


def test_folder_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert install_command("web") == "pip install '.[web]' in the checkout"


def test_missing_package_is_one_line() -> None:
    with pytest.raises(UsageError) as caught, needs("kd tune", "tune"):
        raise ModuleNotFoundError("no", name="optuna.samplers")
    assert str(caught.value).startswith("kd tune needs optuna; install it: pip install")
    assert caught.value.exit_code == 2
