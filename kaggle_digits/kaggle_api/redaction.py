"""The last sieve before anything is said: what stands in a credential's place is not repeated.

Messages are written without secrets; this is for those that packages write, whose exceptions may
hold a header, or a proxy's address with its password.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from kaggle_digits.kaggle_api.credentials import config_folder

SHORTEST, SHORTEST_CODED = 4, 8  # what is shorter stands in every text
MARK = "***"
VALUES = ("KAGGLE_API_TOKEN", "KAGGLE_KEY", "KAGGLE_IAP_TOKEN", "RAY_AUTH_TOKEN")
FILES = ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN", "RAY_AUTH_TOKEN_PATH")
AT_HOME = (
    ".kaggle/access_token",
    ".kaggle/access_token.txt",
    ".kaggle/kaggle.json",
    ".kaggle/credentials.json",
    ".config/kaggle/kaggle.json",
    ".config/kaggle-digits/key",
    ".ray/auth_token",
)
ADDRESSES = ("KD_TUNE_STORAGE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
STORAGE = "--storage"
FIELDS = ("key", "access_token", "refresh_token", "token")
MOST_BYTES = 1 << 16  # of a file with a credential


def redact(
    text: str, environ: Mapping[str, str] | None = None, words: Sequence[str] | None = None
) -> str:
    """``text`` without any secret that stands in ``environ``, in its files or in ``words``.

    Args:
        text: what is about to be said.
        environ: os.environ by default.
        words: of the command line; sys.argv by default.
    """
    env = os.environ if environ is None else environ
    found = {
        form
        for secret in _secrets(env, sys.argv if words is None else words)
        if len(secret) >= SHORTEST
        for form in _forms(secret)
    }
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, MARK)
    return text


def _secrets(env: Mapping[str, str], words: Sequence[str]) -> Iterator[str]:
    for name in VALUES:
        value = env.get(name, "")
        if not _in_file_of(value):  # a token or, of Kaggle's, the path of a file with one
            yield value
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  Path.home() fails where there is none
    paths = [home / name for name in AT_HOME]
    paths += [Path(env[name]) for name in FILES if env.get(name)]
    paths.append(config_folder(env) / "kaggle.json")
    for path in paths:
        yield from _in_file(path)
    names = [name for name in env if name.upper() in ADDRESSES]
    addresses = [env[name] for name in names]
    for before, word in zip(["", *words], words, strict=False):
        if before == STORAGE:
            addresses.append(word)
        elif word.startswith(f"{STORAGE}="):
            addresses.append(word.partition("=")[2])
    for address in addresses:
        yield from _in_address(address)


def _in_file_of(value: str) -> bool:
    try:
        return bool(value) and Path(value).is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def _in_file(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8", "replace").strip()
    except (OSError, ValueError):  # not there, or no path but a token
        return
    if path.suffix != ".json":
        yield from {text, *text.split()}
        return
    try:
        content = json.loads(text)
    except ValueError:
        # Damaged, but the key may be whole in it.
        yield from re.findall(r'"(?:\w*token|key)"\s*:\s*"([^"]*)', text)
        return
    if isinstance(content, dict):
        yield from (str(content[field]) for field in FIELDS if content.get(field))


def _in_address(address: str) -> Iterator[str]:
    """What stands before the @, whole and in pieces: passwords are not always well written."""
    before = address.partition("://")[2].rpartition("@")[0]
    name, _, password = before.partition(":")
    yield from (password, unquote(password), f"{name}:{password}" if password else "")
    yield from (piece for piece in re.split(r"[:/@?#\s]", password) if piece)
    for pair in address.partition("?")[2].split("&"):
        key, _, value = pair.partition("=")
        if key.lower() in ("password", "passwd", "token", "sslpassword"):
            yield from (value, unquote(value))


def _forms(secret: str) -> Iterator[str]:
    """As it is, escaped, quoted, and in base64 wherever it stands in what is encoded."""
    yield secret
    yield secret.strip()
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    raw = secret.encode("utf-8", "surrogateescape")
    for shift in range(3):
        # The letters that depend on what stands before or after are left out.
        coded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        sure = coded[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        if len(sure) >= SHORTEST_CODED:
            yield sure
