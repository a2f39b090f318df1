"""kd doctor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli import doctor as doctor_command
from kaggle_digits.cli.main import app
from kaggle_digits.core import environment
from tests.support import colab
from tests.support.competition_files import data_folder
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import KEY, FakeKaggle, Fault

__all__ = ["home", "kaggle"]


def doctor(*args: object) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(app, ["doctor", "--json", *map(str, args)])
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    return {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}


def test_healthy_installation(kaggle: FakeKaggle, tmp_path: Path) -> None:
    found = doctor("--data-dir", data_folder(tmp_path / "data"))
    assert found["Kaggle"]["text"] == (
        "accepts the credential; 3 files listed, 10 submissions left today"
    )
    assert "source kaggle" in found["data"]["text"]
    assert found["tensorflow"]["state"] == "ok"
    assert found["disk"]["state"] == "ok"


def test_without_credential_and_data(home: Path, tmp_path: Path) -> None:
    found = doctor("--data-dir", tmp_path / "nothing" / "yet")
    assert "KAGGLE_API_TOKEN" in found["credential"]["remedy"]
    assert "kd fetch sample" in found["data"]["remedy"]
    assert "Kaggle" not in found


def test_offline_does_not_connect(kaggle: FakeKaggle, tmp_path: Path) -> None:
    assert "--offline" in doctor("--offline", "--data-dir", tmp_path)["Kaggle"]["text"]
    assert kaggle.calls == []


@pytest.mark.parametrize("fault", [Fault("status", 401), Fault("silent"), Fault("html", 502)])
def test_failing_kaggle_is_a_warning_with_remedy(
    kaggle: FakeKaggle, tmp_path: Path, fault: Fault
) -> None:
    kaggle.fail("ListDataFiles", fault, times=9)
    found = doctor("--data-dir", tmp_path)["Kaggle"]
    assert found["state"] == "warning"
    assert found["remedy"]


def test_world_readable_credential(home: Path, tmp_path: Path) -> None:
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


def places(*args: object) -> dict[str, str]:
    """Return what doctor found in each place of a credential."""
    result = CliRunner().invoke(app, ["doctor", "--offline", "--json", *map(str, args)])
    finding = next(f for f in json.loads(result.stdout)["findings"] if f["name"] == "credential")
    return {place["place"]: place["state"] for place in finding["places"]}


def test_every_place_of_a_credential_is_listed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "")
    for name, text in {
        "access_token": "",
        "kaggle.json": json.dumps({"username": "someone", "key": KEY}),
        "credentials.json": json.dumps({"refresh_token": KEY}),
    }.items():
        path = home / ".kaggle" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    assert places("--data-dir", tmp_path) == {
        "the variable KAGGLE_API_TOKEN is empty": "empty",
        "~/.kaggle/access_token is empty": "empty",
        "~/.kaggle/access_token.txt": "absent",
        "the variables KAGGLE_USERNAME and KAGGLE_KEY": "absent",
        "~/.kaggle/kaggle.json": "used",
        "~/.kaggle/credentials.json": "not needed",
    }
    (home / ".kaggle/access_token.txt").mkdir()
    (home / ".kaggle/kaggle.json").write_text("{")
    found = places("--data-dir", tmp_path)
    assert found["~/.kaggle/access_token.txt cannot be read (Is a directory)"] == "unreadable"
    assert found["~/.kaggle/kaggle.json is damaged (not JSON)"] == "wrong form"
    result = CliRunner().invoke(app, ["doctor", "--offline", "--data-dir", str(tmp_path)])
    assert "\n      wrong form: ~/.kaggle/kaggle.json is damaged (not JSON)\n" in result.stdout


def test_colab_secrets_are_listed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colab.pretend(monkeypatch, KAGGLE_API_TOKEN=KEY)
    found = places("--data-dir", tmp_path)
    assert found["the Colab secret KAGGLE_API_TOKEN"] == "used"
    assert found["the Colab secret KAGGLE_USERNAME or KAGGLE_KEY does not exist"] == "absent"


def test_text_names_remedies(home: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--offline", "--data-dir", str(tmp_path)])
    assert "✓ Python:" in result.stdout
    assert "    → kd fetch" in result.stdout


def test_backend(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert "tensorflow" in doctor("--data-dir", tmp_path)["backend"]["text"]
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KD_PRECISION", "float16")
    found = doctor("--data-dir", tmp_path)["backend"]
    assert found["text"] == "Keras uses torch; KD_PRECISION=float16"
    assert "unset KERAS_BACKEND" in found["remedy"]


def test_gpus(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "none found" in doctor("--data-dir", tmp_path)["GPU"]["text"]
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'Tesla T4, 15360 MiB'\necho 'Tesla T4, 15360 MiB'\n")
    driver.chmod(0o755)
    version = environment.installed_version
    without_cuda = lambda name: None if "cudnn" in name else version(name)  # noqa: E731
    monkeypatch.setattr(environment, "installed_version", without_cuda)
    found = doctor("--data-dir", tmp_path)["GPU"]
    assert found["remedy"].endswith("pip install 'tensorflow[and-cuda]'")
    monkeypatch.setattr(environment, "installed_version", lambda name: "1")
    assert doctor("--data-dir", tmp_path)["GPU"]["text"].endswith("; one of them is used")
    driver.write_text("#!/bin/sh\nexit 9\n")
    assert "check the driver" in doctor("--data-dir", tmp_path)["GPU"]["remedy"]


def test_advice_for_windows_works_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("sys.version_info", (3, 14))
    assert doctor_command._check_python()[2].endswith(
        r": py -3.12 -m venv .venv; .venv\Scripts\activate"
    )
    monkeypatch.setattr(environment, "gpus", lambda: ("NVIDIA RTX 4060, 8188 MiB",))
    state, text, remedy = doctor_command._check_gpu() or ("", "", "")
    assert (state, remedy) == ("ok", "")
    assert "WSL 2: wsl --install" in text
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert doctor_command._check_backend()[2].endswith("Remove-Item Env:KERAS_BACKEND")
