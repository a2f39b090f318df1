"""Prepare pictures in a process with limited time and memory.

A small file can keep a decoder busy for hours or make it ask for gigabytes: a JPEG with a scan
repeated a thousand times, a PNG of a million chunks. No look at the header finds them all.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

from kaggle_digits.core.errors import DataError

if TYPE_CHECKING:
    from kaggle_digits.imaging.loading import PreparedPicture
    from kaggle_digits.imaging.sheets import PreparedSheet

# The largest permitted pictures need 2 seconds of one processor and 700 MB.
MAX_SECONDS, MAX_MB = 4.0, 1200
# Limit of the wall-clock time, also of the start; on Windows the only limit.
MAX_WALL_SECONDS = 60.0
# A process that finds the modules of this one. multiprocessing would run the user's script again.
COMMAND = "import sys; sys.path[:] = {}; from kaggle_digits.imaging.reader import serve; serve()"


class PictureReader:
    """A process that opens and prepares pictures, one at a time; one that was killed is replaced.

    Not safe for concurrent threads, except ``close``.
    """

    def __init__(self) -> None:
        """Start the process; the first picture waits until it is ready."""
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND.format(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # warnings of decoders
        )
        weakref.finalize(self, _end, self._process)

    def prepare(
        self,
        source: Path | bytes,
        name: str,
        max_pixels: int | None = None,
        *,
        with_steps: bool = False,
        with_sheet: bool = False,
    ) -> "PreparedPicture":
        """Return ``prepare(open_picture(source, name, max_pixels))``, without steps by default.

        ``max_pixels`` is MAX_PIXELS of ``imaging.loading`` by default. A picture of several digits
        also gets its ``sheet`` if that is wanted, and is decoded once.

        Raises:
            DataError: as ``open_picture``; the picture takes longer than MAX_SECONDS or needs
                more than MAX_MB; its decoder crashed; the reader was closed.
        """
        prepared: PreparedPicture = self._request(
            source, name, max_pixels, with_steps, with_sheet, False
        )
        return prepared

    def prepare_sheet(
        self, source: Path | bytes, name: str, max_pixels: int | None = None
    ) -> "PreparedSheet":
        """Return ``prepare_sheet(open_picture(…))`` with these arguments; raise as ``prepare``."""
        sheet: PreparedSheet = self._request(source, name, max_pixels, False, True, True)
        return sheet

    def _request(self, source: Path | bytes, name: str, *settings: int | None) -> Any:
        """Send a request to ``serve``; return or raise its result."""
        if self._process.poll() is not None and not self._closed:
            self._start()
        assert self._process.stdin
        assert self._process.stdout
        timer = Timer(MAX_WALL_SECONDS, self._process.kill)
        timer.start()
        start = time.monotonic()
        try:
            pickle.dump((source, name, *settings), self._process.stdin)
            self._process.stdin.flush()
            result = pickle.load(self._process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):  # the process has ended
            _end(self._process)
            is_late = time.monotonic() - start >= MAX_WALL_SECONDS
            signals = {getattr(signal, each, None) for each in ("SIGPROF", "SIGKILL")}
            fault = "is not a readable picture (its decoder crashed)"
            if self._closed:
                fault = "was not read: interrupted"
            elif is_late or -self._process.returncode in signals:
                fault = "takes too long to decode; save it again with another program"
            raise DataError(f"{name} {fault}") from None
        finally:
            timer.cancel()
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        """End the process, also while it prepares a picture."""
        self._closed = True
        self._process.kill()


class ReaderPool:
    """Readers for concurrent threads: one process at first, more when all are in use."""

    def __init__(self) -> None:
        self._readers = [PictureReader()]
        self._idle = self._readers.copy()

    @contextlib.contextmanager
    def reader(self) -> Iterator[PictureReader]:
        """Yield a reader that nobody else uses."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = PictureReader()
            self._readers.append(reader)
        try:
            yield reader
        finally:
            self._idle.append(reader)

    def close(self) -> None:
        """End all processes; pictures that are being prepared fail at once."""
        for reader in self._readers:
            reader.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def serve() -> None:
    """Prepare the pictures that arrive at stdin until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides what Ctrl-C does
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may be written among the results
    import scipy.ndimage  # noqa: F401  # imported by the first picture otherwise

    # Here, so that a command starts this process before it imports as much itself.
    from kaggle_digits.imaging import loading

    if sys.platform != "win32":
        import resource

        with contextlib.suppress(OSError, ValueError):  # a lower limit is set
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (MAX_MB << 20, hard))
    while True:
        try:
            source, name, max_pixels, *settings = pickle.load(sys.stdin.buffer)
            with_steps, with_sheet, sheet_only = settings
        except EOFError:
            return
        result: PreparedPicture | PreparedSheet | Exception
        try:
            _limit_time(MAX_SECONDS)
            picture = loading.open_picture(source, name, max_pixels or loading.MAX_PIXELS)
            if sheet_only:
                result = loading.prepare_sheet(picture)
            else:
                result = loading.prepare(picture)
                if not with_steps:
                    result = replace(result, steps={})
                if with_sheet and result.note == loading.SEVERAL_DIGITS:
                    _limit_time(MAX_SECONDS)
                    result = replace(result, sheet=loading.prepare_sheet(picture))
        except MemoryError:
            result = DataError(f"{name} needs too much memory; make it smaller first")
        except Exception as error:
            result = error
        _limit_time(0)
        pickle.dump(result, results)
        results.flush()


def _limit_time(seconds: float) -> None:
    """Let the kernel kill this process after so many seconds of processor time; 0: no limit."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)
