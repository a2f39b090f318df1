"""What stands in a credential's place is not repeated, whoever wrote the words."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from kaggle_digits.kaggle_api.redaction import redact

SECRET = "t0p/secret+value=Ää"


def hidden(text: str, *words: str, **environ: str) -> str:
    return redact(text, environ, ("kd", *words))


@pytest.mark.parametrize("name", ["KAGGLE_API_TOKEN", "KAGGLE_KEY", "RAY_AUTH_TOKEN"])
def test_variables(home: Path, name: str) -> None:
    said = hidden(f"header value: 'Bearer {SECRET}'", **{name: SECRET})
    assert said == "header value: 'Bearer ***'"


@pytest.mark.parametrize(
    "place", [".kaggle/access_token", ".kaggle/access_token.txt", ".ray/auth_token"]
)
def test_files_at_home(home: Path, place: str) -> None:
    (home / place).parent.mkdir()
    (home / place).write_text(f"{SECRET}\n")
    assert hidden(f"a {SECRET} b") == "a *** b"


@pytest.mark.parametrize("folder", [".kaggle", ".config/kaggle", "elsewhere"])
@pytest.mark.parametrize("whole", [True, False])
def test_kaggle_json(home: Path, folder: str, *, whole: bool) -> None:
    (home / folder).mkdir(parents=True)
    text = json.dumps({"username": "someone", "key": "abcdef0123"})
    (home / folder / "kaggle.json").write_text(text if whole else text[:-1])
    more = {"KAGGLE_CONFIG_DIR": str(home / folder)} if folder == "elsewhere" else {}
    assert hidden("someone abcdef0123", **more) == "someone ***"


def test_a_login(home: Path) -> None:
    (home / ".kaggle").mkdir()
    kept = {"refresh_token": "refresh-abc", "access_token": "access-abc", "username": "someone"}
    (home / ".kaggle" / "credentials.json").write_text(json.dumps(kept))
    assert hidden("refresh-abc access-abc someone") == "*** *** someone"


def test_a_file_named_by_a_variable(home: Path) -> None:
    path = home / "token"
    path.write_text(SECRET)
    said = hidden(f"{SECRET} in {path}", KAGGLE_API_TOKEN=str(path))
    assert said == f"*** in {path}", "where it stands is no secret"


def test_addresses(home: Path) -> None:
    proxy = f"http://me:{quote(SECRET, safe='')}@proxy:3128"
    said = hidden(f"Failed to parse: {proxy} {SECRET}", https_proxy=proxy)
    assert said == "Failed to parse: http://***@proxy:3128 ***"
    storage = "postgresql://me:pass/word@db/x?sslpassword=other-one"
    for words in (("tune", "--storage", storage), ("tune", f"--storage={storage}")):
        said = hidden("nonnumeric port: 'pass', word, other-one", *words)
        assert said == "nonnumeric port: '***', ***, ***"


def test_other_forms(home: Path) -> None:
    for name in ("me", "you2", "someone"):
        coded = base64.b64encode(f"{name}:{SECRET}".encode()).decode()
        said = hidden(f"Basic {coded}", KAGGLE_KEY=SECRET)
        assert len(said) < len(coded) / 2 + 10
        assert "***" in said
    assert hidden(json.dumps(SECRET), KAGGLE_KEY=SECRET) == '"***"'
    assert hidden(quote(SECRET), KAGGLE_KEY=SECRET).count("***") == 1


def test_ordinary_words_stay(home: Path) -> None:
    text = "run dense: 97.65 % right; next: kd submit"
    assert hidden(text, KAGGLE_KEY="", HTTP_PROXY="http://proxy:3128", KD_TUNE_STORAGE="x") == text
    assert hidden(text, KAGGLE_KEY="run") == text, "too short to be told from words"
