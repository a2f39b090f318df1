"""Which credential the kaggle client would use, found without importing it.

Only where a credential stands is kept, never its value.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.core.errors import KaggleError

SETTINGS_PAGE = "https://www.kaggle.com/settings"
CREDENTIAL_HELP = (
    f'make a token at {SETTINGS_PAGE} (API, "Generate New Token") and save it as '
    "~/.kaggle/access_token, or put it in the variable KAGGLE_API_TOKEN"
)
TOKEN, API_KEY, OAUTH = "API token", "API key", "login"
READABLE_BY_OTHERS = 0o044


@dataclass(frozen=True)
class Credential:
    """A credential's kind and place.

    Attributes:
        kind: ``API token``, ``API key`` (a name and key, kaggle.json) or ``login`` (OAuth).
        place: the file or variables it stands in, as shown to the user.
        username: whose it is, where that is written beside it.
        path: the file it stands in, or None where it stands in variables only.
    """

    kind: str
    place: str
    username: str | None = None
    path: Path | None = None

    def __str__(self) -> str:
        owner = f" of {self.username}" if self.username else ""
        return f"{self.kind}{owner} in {self.place}"

    @property
    def is_world_readable(self) -> bool:
        """Whether other users of this machine may read the file."""
        try:
            return bool(
                self.path and os.name == "posix" and self.path.stat().st_mode & READABLE_BY_OTHERS
            )
        except OSError:
            return False


def find(environ: Mapping[str, str] | None = None) -> Credential | None:
    """The credential that the kaggle client would use; None where there is none.

    In the client's own order: access token, then kaggle.json with KAGGLE_USERNAME and KAGGLE_KEY
    laid over it, then the login kept by ``kaggle auth login``.

    Raises:
        KaggleError: a credential file is there but cannot be read or is not in its form.
    """
    env = os.environ if environ is None else environ
    return _token(env) or _api_key(env) or _login()


def require() -> Credential:
    """As ``find``, but none is an error that says how to make one."""
    credential = find()
    if credential is None:
        raise KaggleError(
            f"no Kaggle credential found; {CREDENTIAL_HELP} "
            "(without an account: kd fetch --source sample)"
        )
    return credential


def _home() -> Path:
    return Path(os.path.expanduser("~"))  # noqa: PTH111  Path.home() fails where there is none


def _shown(path: Path) -> str:
    home = _home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _token(env: Mapping[str, str]) -> Credential | None:
    if env.get("KAGGLE_KERNEL_RUN_TYPE") and env.get("KAGGLE_DATA_PROXY_URL"):
        path = Path(env.get("KAGGLE_API_V1_TOKEN") or os.devnull)
        if path.exists() and _text(path):
            return Credential(TOKEN, f"{path} (of this Kaggle notebook)", path=path)
    if value := env.get("KAGGLE_API_TOKEN"):
        try:
            is_file = Path(value).exists()
        except (OSError, ValueError):  # too long for a path: a value
            is_file = False
        if not is_file:
            place = "the variable KAGGLE_API_TOKEN"
            _refuse_odd(value, f"{TOKEN} in {place}")  # the client would send it as it is
            return Credential(TOKEN, place)
        path = Path(value)
        if not (text := _text(path)):
            return None  # the client looks no further for tokens
        _refuse_odd(text, f"{TOKEN} in {_shown(path)}")
        return Credential(TOKEN, f"{_shown(path)} (named by KAGGLE_API_TOKEN)", path=path)
    for name in ("access_token", "access_token.txt"):
        path = _home() / ".kaggle" / name
        if path.exists() and (text := _text(path)):
            _refuse_odd(text, f"{TOKEN} in {_shown(path)}")
            return Credential(TOKEN, _shown(path), path=path)
    return None


def _refuse_odd(value: str, what: str) -> None:
    """Letters that no header can carry: sent, they fail with words about everything else."""
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise KaggleError(
            f"the {what} holds a line break, a space or a letter that no credential has; copy it "
            f"again from {SETTINGS_PAGE}"
        )


def config_folder(env: Mapping[str, str]) -> Path:
    """Where the kaggle client looks for kaggle.json."""
    if named := env.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    folder = _home() / ".kaggle"
    if sys.platform.startswith("linux") and not folder.exists():
        folder = Path(env.get("XDG_CONFIG_HOME") or _home() / ".config") / "kaggle"
    return folder


def _api_key(env: Mapping[str, str]) -> Credential | None:
    over = {
        field: value
        for field, name in (("username", "KAGGLE_USERNAME"), ("key", "KAGGLE_KEY"))
        if (value := env.get(name)) is not None
    }
    path = config_folder(env) / "kaggle.json"
    if len(over) == 2:
        place = "the variables KAGGLE_USERNAME and KAGGLE_KEY"
        _refuse_odd("".join(over.values()), f"{API_KEY} in {place}")
        return Credential(API_KEY, place, over["username"])
    if not path.exists():
        if over:
            given, due = "KAGGLE_USERNAME", "KAGGLE_KEY"
            if "key" in over:
                given, due = due, given
            raise KaggleError(f"{given} is set but {due} is not; set both, or {CREDENTIAL_HELP}")
        return None
    content = {**_json(path), **over}
    if not all(isinstance(content.get(field), str) for field in ("username", "key")):
        raise KaggleError(
            f"{_shown(path)} does not hold a username and a key; download it again from "
            f'{SETTINGS_PAGE} (API, "Create Legacy API Key"), or {CREDENTIAL_HELP}'
        )
    place = _shown(path)
    _refuse_odd(f"{content['username']}{content['key']}", f"{API_KEY} in {place}")
    if over:
        place += " with the variable " + ("KAGGLE_KEY" if "key" in over else "KAGGLE_USERNAME")
    return Credential(API_KEY, place, str(content["username"]), path)


def _login() -> Credential | None:
    path = _home() / ".kaggle" / "credentials.json"
    if not path.exists():
        return None
    content = _json(path)
    if not content.get("refresh_token"):
        return None
    username = content.get("username")
    return Credential(OAUTH, _shown(path), username if isinstance(username, str) else None, path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KaggleError(
            f"the credential file {_shown(path)} cannot be read "
            f"({type(error).__name__}); mend or delete it, or {CREDENTIAL_HELP}"
        ) from None


def _json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(_text(path))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise KaggleError(
            f"the credential file {_shown(path)} is damaged (not JSON); delete it, "
            f"then {CREDENTIAL_HELP}"
        )
    return content
