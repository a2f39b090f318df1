from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from kaggle_digits.kaggle_api.redaction import redact

SECRET = "t0p/secret+value=Ää"


def redacted(text: str, *words: str, **environ: str) -> str:
    return redact(text, environ, ("kd", *words))


@pytest.mark.parametrize("name", ["KAGGLE_API_TOKEN", "KAGGLE_KEY", "RAY_AUTH_TOKEN"])
def test_environment_variables(home: Path, name: str) -> None:
    result = redacted(f"header value: 'Bearer {SECRET}'", **{name: SECRET})
    assert result == "header value: 'Bearer ***'"


@pytest.mark.parametrize(
    "name", [".kaggle/access_token", ".kaggle/access_token.txt", ".ray/auth_token"]
)
def test_files_in_the_home_folder(home: Path, name: str) -> None:
    (home / name).parent.mkdir()
    (home / name).write_text(f"{SECRET}\n")
    assert redacted(f"a {SECRET} b") == "a *** b"


@pytest.mark.parametrize("folder", [".kaggle", ".config/kaggle", "elsewhere"])
@pytest.mark.parametrize("valid", [True, False])
def test_kaggle_json(home: Path, folder: str, *, valid: bool) -> None:
    (home / folder).mkdir(parents=True)
    text = json.dumps({"username": "someone", "key": "abcdef0123"})
    (home / folder / "kaggle.json").write_text(text if valid else text[:-1])
    more = {"KAGGLE_CONFIG_DIR": str(home / folder)} if folder == "elsewhere" else {}
    assert redacted("someone abcdef0123", **more) == "someone ***"


def test_oauth_login(home: Path) -> None:
    (home / ".kaggle").mkdir()
    content = {"refresh_token": "refresh-abc", "access_token": "access-abc", "username": "someone"}
    (home / ".kaggle" / "credentials.json").write_text(json.dumps(content))
    assert redacted("refresh-abc access-abc someone") == "*** *** someone"


def test_file_named_by_a_variable(home: Path) -> None:
    path = home / "token"
    path.write_text(SECRET)
    result = redacted(f"{SECRET} in {path}", KAGGLE_API_TOKEN=str(path))
    assert result == f"*** in {path}", "its location is not a secret"


def test_passwords_in_urls(home: Path) -> None:
    proxy = f"http://me:{quote(SECRET, safe='')}@proxy:3128"
    result = redacted(f"Failed to parse: {proxy} {SECRET}", https_proxy=proxy)
    assert result == "Failed to parse: http://***@proxy:3128 ***"
    storage = "postgresql://me:pass/word@db/x?sslpassword=other-one"
    for words in (("tune", "--storage", storage), ("tune", f"--storage={storage}")):
        result = redacted("nonnumeric port: 'pass', word, other-one", *words)
        assert result == "nonnumeric port: '***', ***, ***"


def test_encoded_forms(home: Path) -> None:
    for name in ("me", "you2", "someone"):
        encoded = base64.b64encode(f"{name}:{SECRET}".encode()).decode()
        result = redacted(f"Basic {encoded}", KAGGLE_KEY=SECRET)
        assert len(result) < len(encoded) / 2 + 10
        assert "***" in result
    assert redacted(json.dumps(SECRET), KAGGLE_KEY=SECRET) == '"***"'
    assert redacted(quote(SECRET), KAGGLE_KEY=SECRET).count("***") == 1


def test_ordinary_text_is_not_changed(home: Path) -> None:
    text = "run dense: 97.65 % right; next: kd submit"
    assert (
        redacted(text, KAGGLE_KEY="", HTTP_PROXY="http://proxy:3128", KD_TUNE_STORAGE="x") == text
    )
    assert redacted(text, KAGGLE_KEY="run") == text, "too short to distinguish from ordinary words"
