"""Find the credential that Kaggle's own client would use.

A secret is kept in memory only: it is not part of a credential's text or representation.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kaggle_digits.core.errors import KaggleError

SETTINGS_PAGE = "https://www.kaggle.com/settings"
CREDENTIAL_HELP = (
    f'create a token at {SETTINGS_PAGE} (API, "Generate New Token") and save it as '
    "~/.kaggle/access_token, or set the variable KAGGLE_API_TOKEN"
)
TOKEN, API_KEY, LOGIN = "API token", "API key", "login"
VALID, ABSENT, EMPTY, UNREADABLE, WRONG = "valid", "absent", "empty", "unreadable", "wrong form"
TOKEN_VARIABLE = "the variable KAGGLE_API_TOKEN"
KEY_VARIABLES = "the variables KAGGLE_USERNAME and KAGGLE_KEY"
NEW_API_KEY = f'download it again from {SETTINGS_PAGE} (API, "Create Legacy API Key")'
SAVE_AS_UTF8 = "save it as UTF-8 without BOM (in PowerShell: Set-Content -Encoding ascii)"
UTF16_MARKS, UTF8_MARK = (b"\xff\xfe", b"\xfe\xff"), b"\xef\xbb\xbf"
ASSIGNMENT = re.compile(r"(export\s+|set\s+|\$env:)?KAGGLE_\w+\s*=", re.IGNORECASE)
PATH_START = re.compile(r"[~/\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]")


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
    saved by ``kaggle auth login``. An empty variable counts as unset.
    """
    env = os.environ if environ is None else environ
    return [*_look_for_token(env), *_look_for_api_key(env), _look_for_login()]


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
        "it was looked for; without an account: kd fetch --source sample)"
    )


def describe_unused() -> str:
    """Return ": " and the places that exist without a credential; "" if there are none."""
    unused = [place for place in look() if place.state == EMPTY or place.problem]
    return ": " * bool(unused) + ", ".join(f"{one.location} {one.problem}" for one in unused)


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


def _look_for_token(env: Mapping[str, str]) -> Iterator[Place]:
    if env.get("KAGGLE_KERNEL_RUN_TYPE") and env.get("KAGGLE_DATA_PROXY_URL"):
        path = Path(env.get("KAGGLE_API_V1_TOKEN") or os.devnull)
        yield _look_at_token_file(path, f"{path} (of this Kaggle notebook)")
    value = env.get("KAGGLE_API_TOKEN")
    if value and is_existing_path(value):
        path = Path(value)
        yield _look_at_token_file(path, f"{_display(path)} (named by KAGGLE_API_TOKEN)")
        return  # the client tries no other file either
    if value is None:
        yield Place(TOKEN_VARIABLE, ABSENT)
    elif not value.strip():
        yield Place(TOKEN_VARIABLE, EMPTY, "is empty")
    elif PATH_START.match(value):
        yield Place(TOKEN_VARIABLE, WRONG, "is the path of a file that does not exist; correct it")
    else:
        yield _check_token(value, TOKEN_VARIABLE)
    for name in ("access_token", "access_token.txt"):
        path = home_folder() / ".kaggle" / name
        yield _look_at_token_file(path, _display(path))


def _look_at_token_file(path: Path, location: str) -> Place:
    text = _read(path, location)
    return text if isinstance(text, Place) else _check_token(text, location, path)


def _check_token(text: str, location: str, path: Path | None = None) -> Place:
    if text.startswith("{"):
        problem = "contains a kaggle.json instead of a token; save it as ~/.kaggle/kaggle.json"
    elif ASSIGNMENT.match(text):
        problem = "contains NAME=value; keep only the value, which is the token"
    else:
        problem = _odd_characters(text)
    if problem:
        return Place(location, WRONG, problem)
    return Place(location, VALID, credential=Credential(TOKEN, location, text, path=path))


def _look_for_api_key(env: Mapping[str, str]) -> Iterator[Place]:
    values = {name: env.get(f"KAGGLE_{name.upper()}") for name in ("username", "key")}
    variables = {name: value for name, value in values.items() if value and value.strip()}
    file = _look_at_kaggle_json(env, variables)
    if len(variables) == 2:
        yield _check_api_key(variables, KEY_VARIABLES)
    elif variables and file.state in (ABSENT, EMPTY):
        present, missing = ("USERNAME", "KEY") if "username" in variables else ("KEY", "USERNAME")
        unset = "is empty" if values[missing.lower()] is not None else "is not"
        problem = f"are incomplete: KAGGLE_{present} is set but KAGGLE_{missing} {unset}; set both"
        yield Place(KEY_VARIABLES, WRONG, problem)
    elif any(value is not None for value in values.values()):
        yield Place(KEY_VARIABLES, EMPTY, "are empty" if not variables else "are incomplete")
    else:
        yield Place(KEY_VARIABLES, ABSENT)
    yield file


def _look_at_kaggle_json(env: Mapping[str, str], variables: Mapping[str, str]) -> Place:
    """Look at kaggle.json; a single one of ``variables`` replaces its entry."""
    path = config_folder(env) / "kaggle.json"
    location = _display(path)
    text = _read(path, location)
    if isinstance(text, Place):
        return _check_config_folder(env, text)
    content = _parse(text)
    if content is None:
        problem = "is damaged (not JSON)"
        if text.startswith("KGAT_"):
            problem = "contains a token instead of JSON; save it as ~/.kaggle/access_token"
        return Place(location, WRONG, f"{problem}; {NEW_API_KEY}")
    if len(variables) == 1:
        location += f" with the variable KAGGLE_{next(iter(variables)).upper()}"
    return _check_api_key({**content, **variables}, location, path)


def _check_config_folder(env: Mapping[str, str], place: Place) -> Place:
    """Explain an absent kaggle.json by what KAGGLE_CONFIG_DIR names."""
    value = env.get("KAGGLE_CONFIG_DIR")
    if not value or place.state != ABSENT or Path(value).is_dir():
        return place
    location = f"KAGGLE_CONFIG_DIR={value}"
    if Path(value).exists():
        problem = f"names a file; name its folder: {Path(value).absolute().parent}"
        return Place(location, WRONG, problem)
    if value.startswith("~"):
        whole = os.path.expanduser(value)  # noqa: PTH111
        problem = f"contains ~, which only a shell replaces; write the whole path: {whole}"
        return Place(location, WRONG, problem)
    return Place(location, ABSENT, "names a folder that does not exist")


def _check_api_key(content: Mapping[str, object], location: str, path: Path | None = None) -> Place:
    username, key = content.get("username"), content.get("key")
    if not (isinstance(username, str) and isinstance(key, str) and username and key):
        return Place(location, WRONG, f"does not contain a username and a key; {NEW_API_KEY}")
    if problem := _odd_characters(username) or _odd_characters(key):
        return Place(location, WRONG, problem)
    return Place(location, VALID, "", Credential(API_KEY, location, key, username, path))


def _look_for_login() -> Place:
    path = home_folder() / ".kaggle" / "credentials.json"
    location = _display(path)
    text = _read(path, location)
    if isinstance(text, Place):
        return text
    content = _parse(text)
    if content is None:
        return Place(location, WRONG, "is damaged (not JSON); run: kaggle auth login")
    if not content.get("refresh_token"):
        return Place(location, EMPTY, "contains no login")
    username = content.get("username")
    owner = username if isinstance(username, str) else None
    return Place(location, VALID, "", Credential(LOGIN, location, username=owner, path=path))


def is_existing_path(value: str) -> bool:
    """Return whether ``value``, a token or a path, is the path of an existing file."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def _odd_characters(secret: str) -> str:
    # No HTTP header can carry them, and the error of the client would not name the cause.
    if not (secret.isascii() and secret.isprintable() and " " not in secret):
        problem = "contains a line break, a space or a letter that no credential has"
        return f"{problem}; copy it again from {SETTINGS_PAGE}"
    return "contains quotation marks; remove them" if secret[0] in "\"'" else ""


def _display(path: Path) -> str:
    home = home_folder()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _read(path: Path, location: str) -> str | Place:
    """Return the text of a file without outer space, or what is wrong with the file."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Place(location, ABSENT)
    except (OSError, ValueError) as error:
        reason = "is a folder, not a file" if path.is_dir() else "cannot be read"
        hint = f"; check its permissions ({error.strerror})" if isinstance(error, OSError) else ""
        return Place(location, UNREADABLE, reason + hint)
    if content.startswith(UTF16_MARKS) or b"\0" in content:
        return Place(location, WRONG, f"is saved as UTF-16; {SAVE_AS_UTF8}")
    if content.startswith(UTF8_MARK):
        return Place(location, WRONG, f"begins with a byte order mark (BOM); {SAVE_AS_UTF8}")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return Place(location, WRONG, f"is not text in UTF-8; {SAVE_AS_UTF8}")
    return text or Place(location, EMPTY, "is empty")


def _parse(text: str) -> dict[str, object] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
