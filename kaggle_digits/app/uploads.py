"""Read the bodies of uploads within limits of size, time and total memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

MAX_UPLOAD_BYTES = 10_000_000
MAX_TOTAL_BYTES = 10 * MAX_UPLOAD_BYTES  # of all uploads that are being received or processed
UPLOAD_TIMEOUT = 30.0  # seconds
TOO_LARGE = f"the picture is larger than {MAX_UPLOAD_BYTES // 1_000_000} MB; send a smaller one"
TOO_SLOW = f"the upload took longer than {UPLOAD_TIMEOUT:.0f} seconds; send a smaller picture"
TOO_MANY = "too many pictures are being uploaded at once; try again in a second"


class UploadLimiter:
    """Limits the memory that the uploads of one server use together."""

    def __init__(self) -> None:
        self._total_bytes = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body of ``request``; it counts towards the total until the block ends.

        Raises HTTPException: 413 too large, 408 too slow, 503 too many uploads at once.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > MAX_UPLOAD_BYTES:
            raise HTTPException(413, TOO_LARGE)
        body = bytearray()
        try:
            await self._receive(request, body)
            yield bytes(body)
        finally:
            self._total_bytes -= len(body)

    async def _receive(self, request: Request, body: bytearray) -> None:
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT):
                async for chunk in request.stream():
                    if self._total_bytes + len(chunk) > MAX_TOTAL_BYTES:
                        raise HTTPException(503, TOO_MANY, {"Retry-After": "1"})
                    self._total_bytes += len(chunk)
                    body += chunk
                    if len(body) > MAX_UPLOAD_BYTES:
                        raise HTTPException(413, TOO_LARGE)
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW) from None
        except ClientDisconnect:  # not an error of the server: nothing to log
            raise HTTPException(400, "the client disconnected") from None
