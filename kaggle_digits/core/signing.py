"""What was made here: a key of this person's own tells their files from a stranger's.

A pickle runs code as it is read, and so does a model named ``package.module:function``. What can
do that is signed when it is made (HMAC-SHA256), with a key that stands in the person's own folder
and travels nowhere; what is not so signed is used only where the person says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Any

VARIABLE = "KD_TRUST"
HOW_TO = "if you know who made it and trust them, add --trust"
KEY_BYTES = 32


def trusting() -> bool:
    """Whether the user said --trust: strangers' code may run."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def sign(content: bytes) -> str:
    """What ``made_here`` knows ``content`` by: 64 hexadecimal digits."""
    return hmac.new(_key(_place()), content, hashlib.sha256).hexdigest()


def made_here(content: bytes, signature: object) -> bool:
    """Whether ``signature`` is what sign() gave for these bytes, under this person's key."""
    return isinstance(signature, str) and hmac.compare_digest(
        signature.encode("utf-8", "replace"), sign(content).encode()
    )


def sign_json(value: Any) -> str:
    """The same of a value as JSON has it, however its file is laid out."""
    return sign(_canonical(value))


def json_made_here(value: Any, signature: object) -> bool:
    """See made_here."""
    return made_here(_canonical(value), signature)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _place() -> Path:
    # expanduser, since Path.home() fails where there is none
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    return Path(home) / "kaggle-digits" / "key"


@cache
def _key(place: Path) -> bytes:
    """The key, made where there is none.

    Where it cannot be kept, one for this process: what it signs, nobody knows again later.
    """
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                kept = place.read_bytes()
                if len(kept) == KEY_BYTES:
                    return kept
                place.unlink()  # cut short: nothing is known by it
            _make(place)
    return secrets.token_bytes(KEY_BYTES)


def _make(place: Path) -> None:
    """Of several processes that make it at once, the first one's stays."""
    part = place.with_name(f".key.{secrets.token_hex(8)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(part, place)
    finally:
        part.unlink(missing_ok=True)
