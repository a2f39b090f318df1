"""Find the credential that Kaggle's own client would use.

A secret is kept in memory only: it is not part of a credential's text or representation.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kaggle_digits.core.errors import KaggleError

SETTINGS_PAGE = "https://www.kaggle.com/settings"
CREDENTIAL_HELP = (
    f'create a token at {SETTINGS_PAGE} (API, "Generate New Token") and save it as '
    "~/.kaggle/access_token, or set the variable KAGGLE_API_TOKEN"
)
TOKEN, API_KEY, LOGIN = "API token", "API key", "login"


@dataclass(frozen=True)
class Credential:
    """A credential and where it was found."""

    kind: str  # TOKEN, API_KEY (username and key, kaggle.json) or LOGIN (OAuth)
    location: str  # the file or the variables that hold it, as shown to the user
    secret: str = field(default="", repr=False)  # empty for LOGIN: kagglesdk reads and renews it
    username: str | None = None  # its owner, if known without asking Kaggle
    path: Path | None = None  # the file that holds it; None for variables

    def __str__(self) -> str:
        owner = f" of {self.username}" if self.username else ""
        return f"{self.kind}{owner} in {self.location}"

    @property
    def is_world_readable(self) -> bool:
        """Whether other users of this computer may read the file."""
        if self.path is None or os.name != "posix":
            return False
        return bool(self.path.stat().st_mode & 0o044)


def find(environ: Mapping[str, str] | None = None) -> Credential | None:
    """Return the credential that Kaggle's own client would use; None if there is none.

    The order is the client's: access token, then kaggle.json overridden by KAGGLE_USERNAME and
    KAGGLE_KEY, then the login saved by ``kaggle auth login``. Raises KaggleError if a credential
    file cannot be read or has the wrong format.
    """
    env = os.environ if environ is None else environ
    return _find_token(env) or _find_api_key(env) or _find_login()


def require() -> Credential:
    """Return the credential like ``find``; raise KaggleError if there is none."""
    if credential := find():
        return credential
    raise KaggleError(
        f"no Kaggle credential found; {CREDENTIAL_HELP} (without an account: kd fetch --source "
        "sample)"
    )


def config_folder(env: Mapping[str, str]) -> Path:
    """Return the folder in which Kaggle's client looks for kaggle.json."""
    if folder_name := env.get("KAGGLE_CONFIG_DIR"):
        return Path(folder_name)
    folder = home_folder() / ".kaggle"
    if sys.platform.startswith("linux") and not folder.exists():
        folder = Path(env.get("XDG_CONFIG_HOME") or home_folder() / ".config") / "kaggle"
    return folder


def home_folder() -> Path:
    """Return the home folder, or the path "~" if there is none (Path.home() would fail)."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111


def _find_token(env: Mapping[str, str]) -> Credential | None:
    if env.get("KAGGLE_KERNEL_RUN_TYPE") and env.get("KAGGLE_DATA_PROXY_URL"):
        path = Path(env.get("KAGGLE_API_V1_TOKEN") or os.devnull)
        if token := _token_in_file(path, f"{path} (of this Kaggle notebook)"):
            return token
    if value := env.get("KAGGLE_API_TOKEN"):
        if is_existing_path(value):  # the client tries no other file either
            path = Path(value)
            return _token_in_file(path, f"{_display(path)} (named by KAGGLE_API_TOKEN)")
        location = "the variable KAGGLE_API_TOKEN"
        _check_characters(value, f"{TOKEN} in {location}")
        return Credential(TOKEN, location, value)
    for name in ("access_token", "access_token.txt"):
        path = home_folder() / ".kaggle" / name
        if token := _token_in_file(path, _display(path)):
            return token
    return None


def _token_in_file(path: Path, location: str) -> Credential | None:
    if not path.exists() or not (text := _read_text(path)):
        return None
    _check_characters(text, f"{TOKEN} in {location}")
    return Credential(TOKEN, location, text, path=path)


def _find_api_key(env: Mapping[str, str]) -> Credential | None:
    path = config_folder(env) / "kaggle.json"
    location = _display(path)
    names = [name for name in ("username", "key") if f"KAGGLE_{name.upper()}" in env]
    variables: dict[str, object] = {name: env[f"KAGGLE_{name.upper()}"] for name in names}
    content = variables
    if len(variables) == 2:
        location = "the variables KAGGLE_USERNAME and KAGGLE_KEY"
    elif path.exists():
        content = _read_json(path) | variables
        for name in variables:
            location += f" with the variable KAGGLE_{name.upper()}"
    elif variables:
        present, missing = ("USERNAME", "KEY") if "username" in variables else ("KEY", "USERNAME")
        raise KaggleError(
            f"KAGGLE_{present} is set but KAGGLE_{missing} is not; set both, or {CREDENTIAL_HELP}"
        )
    else:
        return None
    username, key = content.get("username"), content.get("key")
    if not isinstance(username, str) or not isinstance(key, str):
        raise KaggleError(
            f"{location} does not contain a username and a key; download it again from "
            f'{SETTINGS_PAGE} (API, "Create Legacy API Key"), or {CREDENTIAL_HELP}'
        )
    _check_characters(username + key, f"{API_KEY} in {location}")
    return Credential(API_KEY, location, key, username, path if len(variables) < 2 else None)


def _find_login() -> Credential | None:
    path = home_folder() / ".kaggle" / "credentials.json"
    if not path.exists() or not (content := _read_json(path)).get("refresh_token"):
        return None
    username = content.get("username")
    owner = username if isinstance(username, str) else None
    return Credential(LOGIN, _display(path), username=owner, path=path)


def is_existing_path(value: str) -> bool:
    """Return whether ``value``, a token or a path, is the path of an existing file."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def _check_characters(secret: str, description: str) -> None:
    # No HTTP header can carry them, and the error of the client would not name the cause.
    if not (secret.isascii() and secret.isprintable() and " " not in secret):
        raise KaggleError(
            f"the {description} contains a line break, a space or a letter that no credential has; "
            f"copy it again from {SETTINGS_PAGE}"
        )


def _display(path: Path) -> str:
    home = home_folder()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KaggleError(
            f"the credential file {_display(path)} cannot be read ({type(error).__name__}); "
            f"repair or delete it, or {CREDENTIAL_HELP}"
        ) from None


def _read_json(path: Path) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        if isinstance(content := json.loads(_read_text(path)), dict):
            return content
    raise KaggleError(
        f"the credential file {_display(path)} is damaged (not JSON); delete it, then "
        f"{CREDENTIAL_HELP}"
    )
