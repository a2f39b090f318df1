"""Plant secrets in every place for a credential, and search files and output for them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from tests.robustness.network_checks import login
from tests.support.kaggle_server import REFRESH, TOKEN, USERNAME, FakeKaggle

KEY = "k3yPlantedInAFile0123456789abcdef"
OTHER = "planted/0ther+t0ken=with odd:letters@here"  # for commands that need no credential
PROXY, PROXY_QUOTED = "pr0xy/Pass+word", quote("pr0xy/Pass+word", safe="")
STORAGE, RAY = "st0rage%Pass", "ray_T0ken_planted"
SECRETS = (TOKEN, REFRESH, KEY, OTHER, PROXY, STORAGE, RAY)
Plant = Callable[[Path], dict[str, str]]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _kaggle_json(folder: Path) -> None:
    _write(folder / "kaggle.json", json.dumps({"username": USERNAME, "key": KEY}))


def _variable(_: Path) -> dict[str, str]:
    return {"KAGGLE_API_TOKEN": TOKEN}


def _file(home: Path) -> dict[str, str]:
    return {"KAGGLE_API_TOKEN": str(_write(home / "secret" / "token", TOKEN))}


def _access_token(home: Path) -> dict[str, str]:
    _write(home / ".kaggle" / "access_token", f"{TOKEN}\n")
    return {}


def _access_token_txt(home: Path) -> dict[str, str]:
    _write(home / ".kaggle" / "access_token.txt", TOKEN)
    return {}


def _key_at_home(home: Path) -> dict[str, str]:
    _kaggle_json(home / ".kaggle")
    return {}


def _key_in_config(home: Path) -> dict[str, str]:
    _kaggle_json(home / ".config" / "kaggle")
    return {}


def _key_elsewhere(home: Path) -> dict[str, str]:
    _kaggle_json(home / "elsewhere")
    return {"KAGGLE_CONFIG_DIR": str(home / "elsewhere")}


def _key_in_variables(_: Path) -> dict[str, str]:
    return {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}


def _login(home: Path) -> dict[str, str]:
    login(home)
    return {}


PLACES: dict[str, Plant] = {
    "KAGGLE_API_TOKEN": _variable,
    "the file that KAGGLE_API_TOKEN names": _file,
    "~/.kaggle/access_token": _access_token,
    "~/.kaggle/access_token.txt": _access_token_txt,
    "~/.kaggle/kaggle.json": _key_at_home,
    "~/.config/kaggle/kaggle.json": _key_in_config,
    "kaggle.json in KAGGLE_CONFIG_DIR": _key_elsewhere,
    "KAGGLE_USERNAME and KAGGLE_KEY": _key_in_variables,
    "a login's ~/.kaggle/credentials.json": _login,
}


def everywhere(kaggle: FakeKaggle) -> dict[str, str]:
    """Return variables with secrets unrelated to Kaggle, present in every environment."""
    proxy = f"http://me:{PROXY_QUOTED}@127.0.0.1:{kaggle.port}"
    storage = f"postgresql+psycopg://me:{quote(STORAGE, safe='')}@127.0.0.1:9/trials"
    return {
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "HTTPS_PROXY": proxy,
        "RAY_AUTH_TOKEN": RAY,
        "KD_TUNE_STORAGE": storage,
    }


def forms(secret: str) -> set[bytes]:
    """Return its plain, quoted, escaped, hexadecimal and base64 forms (at any byte offset)."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), json.dumps(secret)[1:-1].encode(), raw[::-1]}
    found |= {quote(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(bytes(shift) + raw)
            found.add(coded[(8 * shift + 5) // 6 : 8 * (shift + len(raw)) // 6])
    return found


FORMS = {secret: forms(secret) for secret in SECRETS}


def leaks(content: bytes) -> list[str]:
    """Return the secrets found in ``content`` or in archives inside it."""
    return sorted(
        {
            secret
            for inside in unpacked(content)
            for secret, shapes in FORMS.items()
            if any(shape in inside for shape in shapes)
        }
    )


def unpacked(content: bytes, depth: int = 3) -> Iterator[bytes]:
    """Yield ``content`` and the contents of zip, gzip and pushed scripts inside it."""
    yield content
    if depth == 0:
        return
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            for name in zipped.namelist():
                yield from unpacked(zipped.read(name), depth - 1)
    elif content[:2] == b"\x1f\x8b":
        yield from unpacked(gzip.decompress(content), depth - 1)
    elif packed := re.search(rb'SOURCE = (?:\\?"){3}((?:[A-Za-z0-9+/=\s]|\\n){9999,})', content):
        coded = packed[1].replace(b"\\n", b"")
        yield lzma.decompress(base64.b64decode(coded))


def searched(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below ``folder`` except those with planted secrets."""
    for path in sorted(folder.rglob("*")):
        home = folder / "home"
        planted = path.name in ("kaggle.json", "access_token", "access_token.txt", "token")
        planted |= path.name == "credentials.json"
        if path.is_file() and not (planted and path.is_relative_to(home)):
            yield path, path.read_bytes()
