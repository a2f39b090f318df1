from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from tests.fakes.competition_files import data_folder
from tests.fakes.fixtures import home, kaggle
from tests.fakes.kaggle_server import KEY, FakeKaggle, Fault

__all__ = ["home", "kaggle"]


def doctor(*args: object) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(app, ["doctor", "--json", *map(str, args)])
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    return {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}


def test_healthy(kaggle: FakeKaggle, tmp_path: Path) -> None:
    found = doctor("--data-dir", data_folder(tmp_path / "data"))
    assert found["Kaggle"]["text"] == (
        "accepts the credential; 3 files listed, 10 submissions left today"
    )
    assert "source kaggle" in found["data"]["text"]
    assert found["tensorflow"]["state"] == "ok"
    assert found["disk"]["state"] == "ok"


def test_bare_machine(home: Path, tmp_path: Path) -> None:
    found = doctor("--data-dir", tmp_path / "nothing" / "yet")
    assert "KAGGLE_API_TOKEN" in found["credential"]["remedy"]
    assert "kd fetch --source sample" in found["data"]["remedy"]
    assert "Kaggle" not in found


def test_offline(kaggle: FakeKaggle, tmp_path: Path) -> None:
    assert "--offline" in doctor("--offline", "--data-dir", tmp_path)["Kaggle"]["text"]
    assert kaggle.calls == []


@pytest.mark.parametrize("fault", [Fault("status", 401), Fault("silent"), Fault("html", 502)])
def test_kaggle_unwell(kaggle: FakeKaggle, tmp_path: Path, fault: Fault) -> None:
    kaggle.fail("ListDataFiles", fault, times=9)
    found = doctor("--data-dir", tmp_path)["Kaggle"]
    assert found["state"] == "warning"
    assert found["remedy"]


def test_exposed_credential(home: Path, tmp_path: Path) -> None:
    path = home / ".kaggle" / "access_token"
    path.parent.mkdir()
    path.write_text(KEY)
    path.chmod(0o644)
    found = doctor("--offline", "--data-dir", tmp_path)["credential"]
    assert found["remedy"] == f"chmod 600 {path}"


def test_damaged_credential(home: Path, tmp_path: Path) -> None:
    path = home / ".kaggle" / "kaggle.json"
    path.parent.mkdir()
    path.write_text("{")
    assert "damaged" in doctor("--data-dir", tmp_path)["credential"]["text"]


def test_plain_lines_name_remedies(home: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--offline", "--data-dir", str(tmp_path)])
    assert "✓ Python:" in result.stdout
    assert "    → kd fetch" in result.stdout
