from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api import credentials
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_api.redaction import redact
from kaggle_digits.sources.fetch import fetch
from tests.support import colab
from tests.support.kaggle_server import KEY, TOKEN, USERNAME, FakeKaggle

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


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"username": "bert"}', "\udcff"])
def test_damaged_kaggle_json(home: Path, text: str) -> None:
    path = home / ".kaggle/kaggle.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(KaggleError, match=r"~/\.kaggle/kaggle\.json"):
        credentials.find({})


def test_key_without_username(home: Path) -> None:
    with pytest.raises(KaggleError, match="KAGGLE_KEY is set but KAGGLE_USERNAME is not"):
        credentials.find({"KAGGLE_KEY": SECRET})


NOT_UTF8 = r"is saved as UTF-16 or with a byte order mark \(BOM\), or is not text; save it as"
JSON = json.dumps({"username": "bert", "key": SECRET})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("kaggle.json", JSON.encode("utf-16"), NOT_UTF8),
        ("kaggle.json", JSON.encode("utf-16-be"), NOT_UTF8),
        ("kaggle.json", JSON.encode("utf-8-sig"), NOT_UTF8),
        ("kaggle.json", b"KGAT_made_up", r"is damaged \(not JSON\); download it again from"),
        ("kaggle.json", b'{"username": "", "key": ""}', "does not contain a username and a key"),
        ("kaggle.json", b'{"username": "b\xe9rt"}', NOT_UTF8),
        ("access_token", SECRET.encode("utf-16"), NOT_UTF8),
        ("access_token", SECRET.encode("utf-8-sig"), NOT_UTF8),
        ("access_token", JSON.encode(), "contains a kaggle.json instead of a token; save it as"),
        ("access_token", f"KAGGLE_API_TOKEN={SECRET}".encode(), "contains NAME=value; keep only"),
        ("access_token", f"$env:KAGGLE_KEY = {SECRET}".encode(), "contains NAME=value; keep on"),
        ("access_token", f'"{SECRET}"'.encode(), "contains quotation marks; remove them"),
        ("access_token", f"Bearer {SECRET}".encode(), "contains a line break, a space or a letter"),
        ("access_token.txt", b"\xff", NOT_UTF8),
        ("credentials.json", b"{", r"is damaged \(not JSON\); run: kaggle auth login"),
    ],
)
def test_file_in_the_wrong_form(home: Path, name: str, content: bytes, message: str) -> None:
    path = home / ".kaggle" / name
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(KaggleError, match=rf"^~/\.kaggle/{name} {message}") as caught:
        credentials.find({})
    assert SECRET not in str(caught.value)
    assert "delete" not in str(caught.value)
    assert "Error" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("/run/secrets/kaggle", "is the path of a file that does not exist; correct it"),
        ("~/token", "is the path of a file that does not exist"),
        (JSON, "contains a kaggle.json instead of a token"),
        (f"'{SECRET}'", "contains quotation marks; remove them"),
        (f"KAGGLE_API_TOKEN={SECRET}", "contains NAME=value"),
    ],
)
def test_variable_in_the_wrong_form(home: Path, value: str, message: str) -> None:
    with pytest.raises(KaggleError, match=f"^the variable KAGGLE_API_TOKEN {message}") as caught:
        credentials.find({"KAGGLE_API_TOKEN": value})
    assert SECRET not in str(caught.value)


def test_token_file_that_is_a_folder(home: Path, tmp_path: Path) -> None:
    with pytest.raises(
        KaggleError, match=r"\(named by KAGGLE_API_TOKEN\) cannot be read \(Is a dir"
    ):
        credentials.find({"KAGGLE_API_TOKEN": str(tmp_path)})


def test_empty_variables_and_files_count_as_absent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {"KAGGLE_API_TOKEN": " ", "KAGGLE_USERNAME": "", "KAGGLE_KEY": "\n"}
    for name, value in empty.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KaggleError) as caught:
        credentials.require()
    assert (
        "found: the variable KAGGLE_API_TOKEN is empty, the variables KAGGLE_USERNAME and KAG"
        in (str(caught.value))
    )
    write(home / ".kaggle/access_token", "\n")
    write(home / ".kaggle/kaggle.json", JSON)
    assert str(credentials.find()) == "API key of bert in ~/.kaggle/kaggle.json"
    monkeypatch.setenv("KAGGLE_USERNAME", "carl")
    assert str(credentials.find()).endswith("kaggle.json with the variable KAGGLE_USERNAME")
    write(home / ".kaggle/kaggle.json", "")
    with pytest.raises(KaggleError, match="KAGGLE_USERNAME is set but KAGGLE_KEY is not; set b"):
        credentials.find()


def test_config_folder_that_is_none(home: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "keys/kaggle.json", JSON)
    for value in (str(path), "~/keys"):
        message = f"^KAGGLE_CONFIG_DIR={value} is no folder; give the whole path"
        with pytest.raises(KaggleError, match=message):
            credentials.find({"KAGGLE_CONFIG_DIR": value})
    nowhere = {"KAGGLE_CONFIG_DIR": str(tmp_path / "nowhere")}
    assert credentials.find(nowhere) is None
    place = credentials.look(nowhere)[-2]
    assert place.state == "absent"
    assert place.problem.startswith("is no folder; ")
    write(home / ".kaggle/credentials.json", json.dumps({"refresh_token": SECRET}))
    assert str(credentials.find(nowhere)) == "login in ~/.kaggle/credentials.json"


def test_the_named_credential_is_the_one_that_is_sent(
    kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kagglesdk finds this token of a notebook, although a variable is empty."""
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    monkeypatch.setenv("KAGGLE_DATA_PROXY_URL", "")
    monkeypatch.setenv("KAGGLE_API_V1_TOKEN", str(write(tmp_path / "token", SECRET)))
    client = CompetitionClient(policy=policy)
    assert client.credential.kind == credentials.API_KEY
    client.list_files()
    assert str(kaggle.calls[-1].authorization).startswith("Basic ")


def test_file_readable_by_others(home: Path) -> None:
    path = write(home / ".kaggle/access_token", SECRET)
    found = credentials.find({})
    assert found is not None
    assert not found.is_world_readable
    path.chmod(0o644)
    assert found.is_world_readable


@pytest.mark.parametrize(
    ("secrets", "found"),
    [
        ({"KAGGLE_API_TOKEN": TOKEN}, "API token in the Colab secret"),
        (
            {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": f" {KEY}\n"},
            f"API key of {USERNAME} in the Colab secret KAGGLE_USERNAME or KAGGLE_KEY",
        ),
    ],
)
def test_colab_secrets_are_used_and_never_shown(
    secrets: dict[str, str],
    found: str,
    *,
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name)
    colab.pretend(monkeypatch, **secrets)
    report = fetch(data_dir=tmp_path / "data", policy=policy)
    assert len(report.files) == 3
    assert str(credentials.find()).startswith(found)
    for secret in (TOKEN, KEY):
        if secret in "".join(secrets.values()):
            assert redact(f"header: {secret}") == "header: ***"
            assert secret not in capfd.readouterr().out + repr(credentials.look())
        for path in (*home.rglob("*"), *(tmp_path / "data").rglob("*")):
            assert path.is_dir() or secret.encode() not in path.read_bytes()


def test_colab_says_what_to_click(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colab.pretend(monkeypatch)
    with pytest.raises(KaggleError, match=r"KAGGLE_API_TOKEN does not exist; click the key .* add"):
        credentials.require()
    colab.pretend(monkeypatch, KAGGLE_API_TOKEN=None)
    expected = r'may not be read by this notebook; click .* "Notebook access" beside KAGGLE_API_T'
    with pytest.raises(KaggleError, match=expected):
        credentials.find()
    colab.pretend(monkeypatch, KAGGLE_API_TOKEN=" ")
    assert credentials.find() is None
    # Other credentials come first, so that they work without a question of Colab.
    colab.pretend(monkeypatch, KAGGLE_API_TOKEN=None)
    assert "KAGGLE_KEY" in str(credentials.find({"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "k" * 9}))


def test_a_command_in_colab_says_that_python_reads_the_secrets(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    with pytest.raises(KaggleError, match="can only be read by Python; in a cell: import"):
        credentials.require()
