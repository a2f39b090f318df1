"""One file from an HTTP answer to the disk: resumed, verified, moved into place when whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kaggle_digits.core.atomic_io import wrap_os_errors, write_json
from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api.errors import KaggleApiError

CHUNK = 1 << 18
# A line this slow needs five hours for train.csv: better to say so and be asked again.
SLOWEST_BYTES_PER_SECOND = 4096


def download(
    response: Any,
    name: str,
    expected: int,
    folder: Path,
    progress: Progress,
    *,
    retry_command: str = "kd fetch",
    slow: float = 60.0,
) -> Path:
    """Save the body of ``response`` in ``folder``.

    What an earlier, cut-short try left (``<name>.part`` with a note of its ETag) is continued
    with a Range request, if it was cut from the same version of the same file.

    Args:
        response: an open, streaming answer of requests.
        name: of the file, for messages.
        expected: its bytes as Kaggle lists them, 0 where unknown.
        folder: must exist.
        progress: told of each piece.
        retry_command: the command that asks for it once more, for messages.
        slow: seconds after which a line that is too slow is given up.

    Returns:
        The whole file, under the last part of the answer's address, where that is ``name`` or
        ``name`` with .zip; otherwise under ``name``.

    Raises:
        KaggleApiError: the body ended early, is a web page or has not the expected size.
        requests.RequestException: the connection broke.
        StorageError: the disk is full or not writable.
    """
    served = unquote(Path(urlsplit(response.url).path).name)
    target = folder / (served if served in (name, f"{name}.zip") else name)
    part, note = folder / f"{target.name}.part", folder / f"{target.name}.part.json"
    if "text/html" in response.headers.get("Content-Type", ""):
        response.close()
        raise ValueError("a web page where a file was asked for")

    identity = _identity(response)
    start = _resumable_bytes(part, note, identity)
    if start:
        response = _continue(response, start, identity)
        start = start if response.status_code == 206 else 0
    length = response.headers.get("Content-Length")
    encoded = "Content-Encoding" in response.headers  # its length is not that of the file
    known = length and length.isdigit() and not encoded
    total = start + int(length) if known else expected or None

    with wrap_os_errors(part):
        write_json(note, identity, durable=False)
        with part.open("ab" if start else "wb") as out:
            if start:
                out.truncate(start)
            done = _copy(
                response,
                out,
                start=start,
                total=total,
                name=name,
                progress=progress,
                retry_command=retry_command,
                slow=slow,
            )
    whole = done == total if total is not None else True
    size_is_wrong = target.suffix == ".csv" and expected and done != expected
    if whole and size_is_wrong:
        part.unlink()  # not worth continuing
        note.unlink(missing_ok=True)
    if not whole or size_is_wrong:
        raise KaggleApiError(
            f"{name} came with {done:,} bytes instead of {expected or total:,}; "
            f"run it again: {retry_command}",
            retryable=True,
        )
    with wrap_os_errors(target):
        part.replace(target)
    note.unlink(missing_ok=True)
    return target


def _copy(
    response: Any,
    out: Any,
    *,
    start: int,
    total: int | None,
    name: str,
    progress: Progress,
    retry_command: str,
    slow: float,
) -> int:
    done, began = start, time.monotonic()
    progress.update(name, done, total)
    for piece in _pieces(response):
        out.write(piece)
        done += len(piece)
        progress.update(name, done, total)
        seconds = time.monotonic() - began
        too_slow = (done - start) / max(seconds, 1e-9) < SLOWEST_BYTES_PER_SECOND
        if seconds > slow and too_slow:
            raise KaggleApiError(
                f"{name} comes too slowly ({done:,} bytes in {seconds:.0f} s); run it again on a "
                f"better line: {retry_command} goes on where it stopped"
            )
    return done


def _pieces(response: Any) -> Iterator[bytes]:
    """The body as it arrives: a line that trickles is seen to trickle, not waited on."""
    import requests
    from urllib3 import exceptions

    read = getattr(response.raw, "read1", None)
    if read is None or "Content-Encoding" in response.headers:
        yield from response.iter_content(CHUNK)
        return
    try:
        while piece := read(CHUNK):
            yield piece
    except exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _identity(response: Any) -> dict[str, str]:
    names = ("ETag", "Last-Modified", "Content-Length")
    return {name: response.headers[name] for name in names if name in response.headers}


def _resumable_bytes(part: Path, note: Path, identity: dict[str, str]) -> int:
    try:
        same = json.loads(note.read_text(encoding="utf-8")) == identity
        return part.stat().st_size if same and "ETag" in identity else 0
    except (OSError, ValueError):
        return 0


def _continue(response: Any, start: int, identity: dict[str, str]) -> Any:
    import requests

    if response.headers.get("Accept-Ranges") != "bytes":
        return response
    headers = {
        "Range": f"bytes={start}-",
        "If-Range": identity["ETag"],
        "Accept-Encoding": "identity",
    }
    rest = requests.get(response.url, headers=headers, stream=True, timeout=30)
    sound = rest.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    if rest.status_code == 206 and sound:
        response.close()
        return rest
    rest.close()
    return response
