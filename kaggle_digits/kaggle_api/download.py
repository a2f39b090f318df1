"""Download one file: resumable, verified, and moved into place when it is complete."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from urllib3 import exceptions

from kaggle_digits.core.atomic_io import wrap_os_errors, write_json
from kaggle_digits.core.errors import KaggleError
from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api.errors import KaggleApiError, NotJsonError
from kaggle_digits.kaggle_api.http import RetryPolicy, send_request

CHUNK_SIZE = 1 << 18
MIN_BYTES_PER_SECOND = 4096  # at this speed train.csv takes five hours


def save_response(
    response: Any,
    name: str,
    folder: Path,
    *,
    policy: RetryPolicy,
    progress: Progress,
    expected_size: int = 0,
    max_size: int | None = None,
) -> Path:
    """Save the body of ``response``, an open, streaming response of requests, in ``folder``.

    An interrupted download leaves ``<name>.part`` and ``<name>.part.json`` with the ETag. The next
    call resumes it with a Range request if the server still has the same version of the file.
    ``expected_size`` is the size in bytes as Kaggle lists it, 0 if unknown. Returns the complete
    file, named as in the URL if that is ``name`` or ``name`` with .zip.

    Raises:
        KaggleApiError: the body is incomplete, has the wrong size or is too slow.
        KaggleError: the file has more than ``max_size`` bytes.
        NotJsonError: the body is a web page.
        requests.RequestException: the connection broke.
    """
    if "text/html" in response.headers.get("Content-Type", ""):
        response.close()
        raise NotJsonError("a web page instead of a file")
    served_name = unquote(Path(urlsplit(response.url).path).name)
    target = folder / (served_name if served_name in (name, f"{name}.zip") else name)
    part = folder / f"{target.name}.part"
    version_file = folder / f"{target.name}.part.json"
    version = {
        header: response.headers[header]
        for header in ("ETag", "Last-Modified", "Content-Length")
        if header in response.headers
    }
    start = _resumable_bytes(part, version_file, version)
    if start:
        response, start = _resume(response, start, version["ETag"], policy)
    total, length = expected_size or None, response.headers.get("Content-Length", "")
    # The length of an encoded body is not the length of the file.
    if length.isdigit() and "Content-Encoding" not in response.headers:
        total = start + int(length)
    done, began = start, time.monotonic()
    with wrap_os_errors(part):
        write_json(version_file, version, durable=False)
        with part.open("ab" if start else "wb") as out:
            if start:
                out.truncate(start)
            progress.update(name, done, total)
            for chunk in _chunks(response):
                if max_size is not None and max(done + len(chunk), total or 0) > max_size:
                    raise KaggleError(
                        f"{name} is larger than the {max_size:,} bytes expected; look at the "
                        "notebook's page, then push again"
                    )
                out.write(chunk)
                done += len(chunk)
                progress.update(name, done, total)
                seconds = max(time.monotonic() - began, 1e-9)
                too_slow = (done - start) / seconds < MIN_BYTES_PER_SECOND
                if seconds > policy.slow_timeout and too_slow:
                    raise KaggleApiError(
                        f"{name} arrives too slowly ({done:,} bytes in {seconds:.0f} s); on a "
                        "better connection, run the same command again to resume it"
                    )
    complete = total is None or done == total
    # Only the size of the CSV itself is listed, not that of its zip.
    wrong_size = target.suffix == ".csv" and expected_size and done != expected_size
    if complete and wrong_size:
        part.unlink()  # resuming cannot repair it
        version_file.unlink(missing_ok=True)
    if not complete or wrong_size:
        raise KaggleApiError(
            f"{name} has {done:,} bytes instead of {expected_size or total:,}; run it again",
            retryable=True,
        )
    with wrap_os_errors(target):
        part.replace(target)
    version_file.unlink(missing_ok=True)
    return target


def _resumable_bytes(part: Path, version_file: Path, version: dict[str, str]) -> int:
    """Return the size of ``part`` if it belongs to the same version of the file, else 0."""
    try:
        same = json.loads(version_file.read_text(encoding="utf-8")) == version
        return part.stat().st_size if same and "ETag" in version else 0
    except (OSError, ValueError):
        return 0


def _resume(response: Any, start: int, etag: str, policy: RetryPolicy) -> tuple[Any, int]:
    """Request the bytes from ``start`` on; return the response to read and its first byte."""
    if response.headers.get("Accept-Ranges") != "bytes":
        return response, 0
    headers = {"Range": f"bytes={start}-", "If-Range": etag, "Accept-Encoding": "identity"}
    rest = send_request("GET", response.url, policy, headers=headers, stream=True)
    content_range = rest.headers.get("Content-Range", "")
    if rest.status_code == 206 and content_range.startswith(f"bytes {start}-"):
        response.close()
        return rest, start
    rest.close()
    return response, 0


def _chunks(response: Any) -> Iterator[bytes]:
    """Yield the body as it arrives, so that a slow download is noticed early."""
    read = getattr(response.raw, "read1", None)
    if read is None or "Content-Encoding" in response.headers:
        yield from response.iter_content(CHUNK_SIZE)
        return
    try:
        while chunk := read(CHUNK_SIZE):
            yield chunk
    except exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
