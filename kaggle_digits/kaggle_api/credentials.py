"""Find the credential that Kaggle's own client would use.

A secret is kept in memory only: it is not part of a credential's text or representation.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaggle_digits.core import platforms
from kaggle_digits.core.errors import KaggleError

SETTINGS_PAGE = "https://www.kaggle.com/settings"
CREDENTIAL_HELP = (
    f'create a token at {SETTINGS_PAGE} (API, "Generate New Token") and save it as '
    "~/.kaggle/access_token, or set the variable KAGGLE_API_TOKEN"
    + (" ($env:KAGGLE_API_TOKEN='TOKEN')" if sys.platform == "win32" else "")
)
TOKEN, API_KEY, LOGIN = "API token", "API key", "login"
VALID, ABSENT, EMPTY, UNREADABLE, WRONG = "valid", "absent", "empty", "unreadable", "wrong form"
TOKEN_VARIABLE = "the variable KAGGLE_API_TOKEN"
KEY_VARIABLES = "the variables KAGGLE_USERNAME and KAGGLE_KEY"
COLAB_TOKEN = "the Colab secret KAGGLE_API_TOKEN"
COLAB_KEY = "the Colab secret KAGGLE_USERNAME or KAGGLE_KEY"
COLAB_KEY_ICON = "click the key at the left of the notebook (Secrets)"
colab_values: set[str] = set()  # the secrets that this process has read, to redact them
NEW_API_KEY = f'download it again from {SETTINGS_PAGE} (API, "Create Legacy API Key")'
NOT_UTF8 = (
    "is saved as UTF-16 or with a byte order mark (BOM), or is not text; save it as UTF-8 without "
    "BOM (in PowerShell: Set-Content -Encoding ascii)"
)
# Patterns of contents that are no token, username or key, and what is wrong with them.
FAULTS = {
    r"[~/\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]": "is the path of a file that does not exist; correct it",
    r"\{": "contains a kaggle.json instead of a token; save it as ~/.kaggle/kaggle.json",
    r"(?i)(export\s+|set\s+|\$env:)?KAGGLE_\w+\s*=": "contains NAME=value; keep only the value",
    r"[\"']": "contains quotation marks; remove them",
    # No HTTP header can carry them, and the error of the client would not name the cause.
    r"[!-~]*[^!-~]": "contains a line break, a space or a letter that no credential has; copy it "
    f"again from {SETTINGS_PAGE}",
}


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


@dataclass(frozen=True)
class Place:
    """A place where a credential may be, and what is there."""

    location: str  # the file or the variables, as shown to the user
    state: str  # VALID, ABSENT, EMPTY, UNREADABLE or WRONG
    problem: str = ""  # what is wrong, and after "; " what to do
    credential: Credential | None = None  # if VALID


def look(environ: Mapping[str, str] | None = None) -> list[Place]:
    """Look at every place, in the order of Kaggle's own client.

    The order is: access token, then KAGGLE_USERNAME and KAGGLE_KEY or kaggle.json, then the login
    saved by ``kaggle auth login``, then the secrets of a Colab notebook. An empty variable counts
    as unset.
    """
    env = os.environ if environ is None else environ
    places = [*_look_for_token(env), *_look_for_api_key(env), _look_for_login()]
    return [*places, *_look_for_colab_secrets()]


def find(environ: Mapping[str, str] | None = None) -> Credential | None:
    """Return the first credential; None if there is none.

    Raises KaggleError if a place before it is unreadable or has the wrong form: Kaggle's own client
    would send what is there, or ignore it silently.
    """
    for place in look(environ):
        if place.state in (UNREADABLE, WRONG):
            raise KaggleError(f"{place.location} {place.problem}, or {CREDENTIAL_HELP}")
        if place.credential:
            return place.credential
    return None


def require() -> Credential:
    """Return the credential like ``find``; raise KaggleError if there is none."""
    if credential := find():
        return credential
    raise KaggleError(
        f"no Kaggle credential found{describe_unused()}; {CREDENTIAL_HELP} (kd doctor lists where "
        "it was looked for)"
    )


def describe_unused() -> str:
    """Return ": " and the places that exist without a credential; "" if there are none."""
    unused = [f"{place.location} {place.problem}" for place in look() if place.problem]
    return ": " * bool(unused) + ", ".join(unused)


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


class _UnusableError(Exception):
    """There is no usable credential in a place; its arguments are the Place's state and problem."""


def _place(location: str, get: Callable[[], Credential]) -> Place:
    """Return what is in a place; ``get`` returns its credential or raises _UnusableError."""
    try:
        return Place(location, VALID, credential=get())
    except _UnusableError as error:
        return Place(location, *error.args)


def _look_for_token(env: Mapping[str, str]) -> Iterator[Place]:
    def look_at_file(path: Path, note: str = "") -> Place:
        location = _display(path) + note
        return _place(location, lambda: _token(_read(path), location, path))

    if env.get("KAGGLE_KERNEL_RUN_TYPE") and env.get("KAGGLE_DATA_PROXY_URL"):
        path = Path(env.get("KAGGLE_API_V1_TOKEN") or os.devnull)
        yield look_at_file(path, " (of this Kaggle notebook)")
    value = env.get("KAGGLE_API_TOKEN")
    if value and is_existing_path(value):
        yield look_at_file(Path(value), " (named by KAGGLE_API_TOKEN)")
        return  # the client tries no other file either
    if value is None:
        yield Place(TOKEN_VARIABLE, ABSENT)
    elif not value.strip():
        yield Place(TOKEN_VARIABLE, EMPTY, "is empty")
    else:
        yield _place(TOKEN_VARIABLE, lambda: _token(value, TOKEN_VARIABLE))
    for name in ("access_token", "access_token.txt"):
        yield look_at_file(home_folder() / ".kaggle" / name)


def _token(text: str, location: str, path: Path | None = None) -> Credential:
    _require_form(text)
    return Credential(TOKEN, location, text, path=path)


def _look_for_api_key(env: Mapping[str, str]) -> Iterator[Place]:
    values = {name: env.get(f"KAGGLE_{name.upper()}") for name in ("username", "key")}
    variables = {name: value for name, value in values.items() if value and value.strip()}
    file = _look_at_kaggle_json(env, variables)
    if len(variables) == 2:
        yield _place(KEY_VARIABLES, lambda: _api_key(variables, KEY_VARIABLES))
    elif variables and file.state in (ABSENT, EMPTY):
        present, missing = ("USERNAME", "KEY") if "username" in variables else ("KEY", "USERNAME")
        problem = f"are incomplete: KAGGLE_{present} is set but KAGGLE_{missing} is not; set both"
        yield Place(KEY_VARIABLES, WRONG, problem)
    elif any(value is not None for value in values.values()):
        yield Place(KEY_VARIABLES, EMPTY, "are set but empty or incomplete")
    else:
        yield Place(KEY_VARIABLES, ABSENT)
    yield file


def _look_at_kaggle_json(env: Mapping[str, str], variables: dict[str, str]) -> Place:
    """Look at kaggle.json; a single one of ``variables`` replaces its entry."""
    folder = config_folder(env)
    path = folder / "kaggle.json"
    location = _display(path)
    used = location + "".join(f" with the variable KAGGLE_{name.upper()}" for name in variables)
    place = _place(
        location, lambda: _api_key(_read_json(path, NEW_API_KEY) | variables, used, path)
    )
    value = env.get("KAGGLE_CONFIG_DIR")
    if not value or place.state != ABSENT or folder.is_dir():
        return place
    state = WRONG if folder.exists() or value.startswith("~") else ABSENT
    problem = "is no folder; give the whole path of the folder with kaggle.json, without ~"
    return Place(f"KAGGLE_CONFIG_DIR={value}", state, problem)


def _api_key(content: Mapping[str, Any], location: str, path: Path | None = None) -> Credential:
    username, key = content.get("username"), content.get("key")
    if not (isinstance(username, str) and isinstance(key, str) and username and key):
        raise _UnusableError(WRONG, f"does not contain a username and a key; {NEW_API_KEY}")
    _require_form(username)
    _require_form(key)
    return Credential(API_KEY, location, key, username, path)


def _look_for_login() -> Place:
    path = home_folder() / ".kaggle" / "credentials.json"

    def get() -> Credential:
        content = _read_json(path, "run: kaggle auth login")
        if not content.get("refresh_token"):
            raise _UnusableError(EMPTY, "contains no login")
        return Credential(LOGIN, _display(path), username=content.get("username"), path=path)

    return _place(_display(path), get)


def _look_for_colab_secrets() -> Iterator[Place]:
    """Look at the secrets of a Colab notebook; elsewhere there is no such place."""
    if platforms.is_colab_command():
        problem = "can only be read by Python; in a cell: import kaggle_digits as kd; kd.fetch()"
        yield Place(COLAB_TOKEN, ABSENT, problem)
    if platforms.colab_secrets() is None:
        return

    def get_key() -> Credential:
        content = {name: _colab_secret(f"KAGGLE_{name.upper()}") for name in ("username", "key")}
        return _api_key(content, COLAB_KEY)

    yield _place(COLAB_TOKEN, lambda: _token(_colab_secret("KAGGLE_API_TOKEN"), COLAB_TOKEN))
    yield _place(COLAB_KEY, get_key)


def _colab_secret(name: str) -> str:
    """Return the value of a secret; _UnusableError says what to click."""
    try:
        value = str(platforms.colab_secrets().get(name)).strip()
    except Exception as error:  # its types can only be imported in Colab
        match kind := type(error).__name__:
            case "SecretNotFoundError":
                state, fault, remedy = ABSENT, "does not exist", "add it"
            case "NotebookAccessError":
                state, fault = UNREADABLE, "may not be read by this notebook"
                remedy = f'turn on "Notebook access" beside {name}'
            case _:
                state, fault, remedy = UNREADABLE, f"cannot be read ({kind})", f"look at {name}"
        raise _UnusableError(state, f"{fault}; {COLAB_KEY_ICON} and {remedy}") from None
    if not value:
        raise _UnusableError(EMPTY, "is empty")
    if name != "KAGGLE_USERNAME":
        colab_values.add(value)
    return value


def is_existing_path(value: str) -> bool:
    """Return whether ``value``, a token or a path, is the path of an existing file."""
    return os.path.exists(value)  # noqa: PTH110  Path.exists fails if it is too long for a path


def _require_form(secret: str) -> None:
    for pattern, fault in FAULTS.items():
        if re.match(pattern, secret):
            raise _UnusableError(WRONG, fault)


def _display(path: Path) -> str:
    home = home_folder()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise _UnusableError(ABSENT) from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); it must be a file that you may read"
        raise _UnusableError(UNREADABLE, problem) from None
    text = content.decode(errors="replace").strip()
    if any(character in text for character in "\0\ufeff\ufffd"):
        raise _UnusableError(WRONG, NOT_UTF8)
    if not text:
        raise _UnusableError(EMPTY, "is empty")
    return text


def _read_json(path: Path, advice: str) -> dict[str, Any]:
    text = _read(path)
    with contextlib.suppress(ValueError, RecursionError):
        if isinstance(content := json.loads(text), dict):
            return content
    raise _UnusableError(WRONG, f"is damaged (not JSON); {advice}")
