"""The script of a Kaggle notebook: this toolkit's source, packed, below the code that runs it."""

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
# Should somebody have put one there: what is packed is read by Kaggle.
CREDENTIALS = {"kaggle.json", "credentials.json"}
LIMIT = 1_000_000  # bytes; Kaggle refuses a notebook's source above about 1 MB


@dataclass(frozen=True)
class JobSpec:
    """What is to be trained on Kaggle.

    Attributes:
        push_id: of this push; comes back in the manifest.
        run: name of the run.
        recipe: a name, or the name of the file that ``recipe_text`` stood in.
        recipe_text: of a recipe file, or None.
        options: further words for ``kd train``.
        gpu: whether a session without a GPU is a failure.
        internet: whether packages that are missing may be installed.
        hours: after which the training is stopped, and what is finished is kept.
    """

    push_id: str
    run: str
    recipe: str
    recipe_text: str | None
    options: tuple[str, ...]
    gpu: bool
    internet: bool
    hours: float


@dataclass(frozen=True)
class Script:
    """A script's text, and the sha256 of the source packed in it."""

    text: str
    source_sha256: str

    @property
    def bytes(self) -> int:
        """Its length as UTF-8."""
        return len(self.text.encode())


@cache
def pack_source() -> str:
    """The package's files as base64 of xz of JSON, path → text: the same bytes every time."""
    files = {
        path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes().decode()
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in PACKED_SUFFIXES and path.is_file() and _is_source(path)
    }
    packed = lzma.compress(json.dumps(files).encode(), preset=9)
    return base64.b64encode(packed).decode()


def make_script(order: JobSpec) -> Script:
    """The script that does ``order``.

    Raises:
        KaggleError: it is longer than Kaggle takes.
    """
    source = pack_source()
    digest = hashlib.sha256(source.encode()).hexdigest()
    settings = json.dumps({**asdict(order), "toolkit": __version__, "source_sha256": digest})
    script = Script(
        f"# Made by kaggle-digits {__version__}: kd remote push. It trains recipe "
        f"{json.dumps(order.recipe)}.\n"
        f"{ENTRY_POINT.read_text(encoding='utf-8')}\n\n"
        f"SETTINGS = {settings!r}\n"
        '# The toolkit itself: unpack() says how it is packed.\nSOURCE = """\n'
        f"{textwrap.fill(source, 100)}\n"
        '"""\n\n'
        'if __name__ == "__main__":\n'
        "    sys.exit(main(json.loads(SETTINGS), SOURCE))\n",
        digest,
    )
    if script.bytes > LIMIT:
        raise KaggleError(
            f"the notebook's source would have {script.bytes:,} bytes and Kaggle takes "
            f"{LIMIT:,}; make the recipe file smaller"
        )
    return script


def _is_source(path: Path) -> bool:
    words = path.relative_to(PACKAGE).parts
    hidden = any(word.startswith(".") or word == "__pycache__" for word in words)
    return not hidden and path.name not in CREDENTIALS
