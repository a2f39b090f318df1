from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api import credentials

SECRET = "planted-secret"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_no_credential(home: Path) -> None:
    assert credentials.find({}) is None
    with pytest.raises(KaggleError, match=r"kaggle\.com/settings.*KAGGLE_API_TOKEN"):
        credentials.require()


def test_order_of_the_credentials(home: Path) -> None:
    login = {"refresh_token": SECRET, "username": "anna"}
    write(home / ".kaggle/credentials.json", json.dumps(login))
    found = credentials.find({})
    assert found is not None
    assert str(found) == "login of anna in ~/.kaggle/credentials.json"
    key = {"username": "bert", "key": SECRET}
    write(home / ".kaggle/kaggle.json", json.dumps(key))
    assert str(credentials.find({})) == "API key of bert in ~/.kaggle/kaggle.json"
    write(home / ".kaggle/access_token", SECRET)
    assert str(credentials.find({})) == "API token in ~/.kaggle/access_token"
    env = {"KAGGLE_API_TOKEN": SECRET, "KAGGLE_USERNAME": "carl", "KAGGLE_KEY": SECRET}
    assert str(credentials.find(env)) == "API token in the variable KAGGLE_API_TOKEN"
    assert SECRET not in repr(credentials.find(env))


def test_token_file_named_by_a_variable(home: Path) -> None:
    path = write(home / "token", SECRET)
    found = credentials.find({"KAGGLE_API_TOKEN": str(path)})
    assert str(found) == "API token in ~/token (named by KAGGLE_API_TOKEN)"


def test_variables_override_the_file(home: Path) -> None:
    write(home / ".config/kaggle/kaggle.json", json.dumps({"username": "bert", "key": SECRET}))
    assert "bert in ~/.config/kaggle" in str(credentials.find({}))
    found = credentials.find({"KAGGLE_USERNAME": "carl"})
    assert str(found).endswith("kaggle.json with the variable KAGGLE_USERNAME")
    assert found is not None
    assert found.username == "carl"
    both = credentials.find({"KAGGLE_USERNAME": "carl", "KAGGLE_KEY": SECRET})
    assert str(both) == "API key of carl in the variables KAGGLE_USERNAME and KAGGLE_KEY"


def test_config_folder_named_by_a_variable(home: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/kaggle.json", json.dumps({"username": "bert", "key": SECRET}))
    found = credentials.find({"KAGGLE_CONFIG_DIR": str(tmp_path / "elsewhere")})
    assert found is not None
    assert found.username == "bert"


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "", '{"username": "bert"}', "\udcff"])
def test_damaged_kaggle_json(home: Path, text: str) -> None:
    path = home / ".kaggle/kaggle.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(KaggleError, match=r"~/\.kaggle/kaggle\.json"):
        credentials.find({})


def test_key_without_username(home: Path) -> None:
    with pytest.raises(KaggleError, match="KAGGLE_KEY is set but KAGGLE_USERNAME is not"):
        credentials.find({"KAGGLE_KEY": SECRET})


def test_file_readable_by_others(home: Path) -> None:
    path = write(home / ".kaggle/access_token", SECRET)
    found = credentials.find({})
    assert found is not None
    assert not found.is_world_readable
    path.chmod(0o644)
    assert found.is_world_readable
