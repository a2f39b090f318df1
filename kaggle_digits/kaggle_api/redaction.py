"""Redact credentials in all output: errors of other packages may contain headers or URLs."""

import base64
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from kaggle_digits.kaggle_api import credentials

MARK = "***"
# A shorter secret could be part of any word; a shorter piece of base64, too.
MIN_LENGTH, MIN_BASE64_LENGTH = 4, 8
# Variables that contain a secret (KAGGLE_API_TOKEN may also be the path of a file with one).
SECRET_VARIABLES = (
    *("KAGGLE_API_TOKEN", "KAGGLE_KEY", "KAGGLE_IAP_TOKEN", "RAY_AUTH_TOKEN"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)
# Variables that contain the path of a file with a secret.
PATH_VARIABLES = ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN", "RAY_AUTH_TOKEN_PATH", "HF_TOKEN_PATH")
# Variables that contain a URL which may include a password.
URL_VARIABLES = ("KD_TUNE_STORAGE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
URL_PARAMETERS = ("password", "passwd", "token", "sslpassword")
KAGGLE_FILES = ("access_token", "access_token.txt", "kaggle.json", "credentials.json")
HOME_FILES = (
    *(f".kaggle/{name}" for name in KAGGLE_FILES),
    ".config/kaggle/kaggle.json",
    *(".ray/auth_token", ".cache/huggingface/token"),
)
MAX_FILE_BYTES = 1 << 16


def redact(
    text: str, environ: Mapping[str, str] | None = None, arguments: Sequence[str] | None = None
) -> str:
    """Replace every known secret in ``text`` by ***, also in its encoded forms.

    ``environ`` and ``arguments`` are os.environ and sys.argv by default.
    """
    env = os.environ if environ is None else environ
    secrets = _secrets(env, sys.argv if arguments is None else arguments)
    forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MARK)
    return text


def _secrets(env: Mapping[str, str], arguments: Sequence[str]) -> Iterator[str]:
    values = (env.get(name, "") for name in SECRET_VARIABLES)
    yield from (value for value in values if not credentials.is_existing_path(value))
    yield from credentials.colab_values
    paths = [credentials.home_folder() / name for name in HOME_FILES]
    paths += [Path(env[name]) for name in PATH_VARIABLES if env.get(name)]
    paths.append(credentials.config_folder(env) / "kaggle.json")
    for path in paths:
        yield from _secrets_in_file(path)
    urls = [value for name, value in env.items() if name.upper() in URL_VARIABLES]
    for url in (*urls, *arguments):  # such as the --storage of kd tune
        yield from _secrets_in_url(url)


def _secrets_in_file(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES).decode("utf-8", "replace").strip()
    except (OSError, ValueError):  # no such file, or a token instead of a path
        return
    if path.suffix == ".json":  # a damaged one may still contain the whole key
        yield from re.findall(r'"(?:\w*token|key)"\s*:\s*"([^"]*)', text)
    else:
        yield from {text, *text.split()}


def _secrets_in_url(url: str) -> Iterator[str]:
    """Yield the password, whole and in parts, because it may contain unescaped delimiters."""
    user, _, password = url.partition("://")[2].rpartition("@")[0].partition(":")
    yield from (password, unquote(password), f"{user}:{password}" if password else "")
    yield from re.split(r"[:/@?#\s]", password)
    for parameter in url.partition("?")[2].split("&"):
        name, _, value = parameter.partition("=")
        if name.lower() in URL_PARAMETERS:
            yield from (value, unquote(value))


def _forms(secret: str) -> Iterator[str]:
    """Yield ``secret`` as it is, quoted, escaped and as a part of a text in base64."""
    yield from (secret, secret.strip(), quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (repr(secret)[1:-1], json.dumps(secret)[1:-1])
    raw = secret.encode("utf-8", "surrogateescape")
    for shift in range(3):
        # Leave out the characters that depend on the bytes before and after the secret.
        encoded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        certain = encoded[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        if len(certain) >= MIN_BASE64_LENGTH:
            yield certain
