"""Make the script of a Kaggle notebook: entry_point.py, the settings, and the packed toolkit."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import textwrap
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import kaggle_digits
from kaggle_digits._version import __version__
from kaggle_digits.core.errors import KaggleError

PACKAGE = Path(kaggle_digits.__file__).parent
ENTRY_POINT = PACKAGE / "kaggle_notebooks" / "entry_point.py"
PACKED_SUFFIXES = {".py", ".json", ".html", ".css", ".js", ".j2", ".typed"}
CREDENTIAL_FILES = {"kaggle.json", "credentials.json"}  # never packed, should a user put one there
MAX_BYTES = 1_000_000  # Kaggle rejects longer scripts


@dataclass(frozen=True)
class JobSpec:
    """What the script does on Kaggle.

    Attributes:
        push_id: identifies this push; repeated in the manifest.
        run: name of the run.
        recipe: name of a recipe, or of the recipe file.
        recipe_text: content of the recipe file, or None.
        options: further arguments of ``kd train``.
        gpu: whether a session without a GPU is an error.
        internet: whether missing packages may be installed.
        hours: time limit, after which finished members are kept.
    """

    push_id: str
    run: str
    recipe: str
    recipe_text: str | None
    options: tuple[str, ...]
    gpu: bool
    internet: bool
    hours: float


@cache
def pack_source() -> tuple[str, str]:
    """Pack the files of this package; the same files give the same text.

    Returns:
        Base64 of xz of JSON {path: text}, and its hexadecimal SHA-256.
    """
    files = {
        path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes().decode()
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and is_packed(path.relative_to(PACKAGE))
    }
    packed = base64.b64encode(lzma.compress(json.dumps(files).encode(), preset=9)).decode()
    return packed, hashlib.sha256(packed.encode()).hexdigest()


def is_packed(path: Path) -> bool:
    """Return whether a file of the package, relative to it, is source that Kaggle needs."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return path.suffix in PACKED_SUFFIXES and not hidden and path.name not in CREDENTIAL_FILES


def make_script(spec: JobSpec) -> str:
    """Return the script that trains as ``spec`` says.

    Raises:
        KaggleError: it is longer than Kaggle accepts.
    """
    source, digest = pack_source()
    settings = json.dumps({**asdict(spec), "toolkit": __version__, "source_sha256": digest})
    script = (
        f"# Made by kaggle-digits {__version__}: kd remote push. It trains recipe "
        f"{json.dumps(spec.recipe)}.\n"
        f"{ENTRY_POINT.read_text(encoding='utf-8')}\n\n"
        f"SETTINGS = {settings!r}\n"
        f'# The toolkit itself; unpack() reads it.\nSOURCE = """\n{textwrap.fill(source, 100)}\n'
        '"""\n\n'
        'if __name__ == "__main__":\n'
        "    sys.exit(main(json.loads(SETTINGS), SOURCE))\n"
    )
    size = len(script.encode())
    if size > MAX_BYTES:
        raise KaggleError(
            f"the notebook's script would have {size:,} bytes and Kaggle accepts {MAX_BYTES:,}; "
            "make the recipe file smaller"
        )
    return script
