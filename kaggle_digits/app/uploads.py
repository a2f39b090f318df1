"""Bodies that are sent to the app: not too long, not too slow, not too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

MOST_BYTES = 10_000_000
MOST_HELD = 10 * MOST_BYTES  # of all bodies together, read or being read
BODY_SECONDS = 30.0
TOO_LARGE = f"the picture is larger than {MOST_BYTES // 1_000_000} MB; send a smaller one"
TOO_SLOW = f"the picture was not here after {BODY_SECONDS:.0f} seconds; send a smaller one"
TOO_MANY = "too many pictures are being sent at once; send it again in a second"


class Intake:
    """Holds the bodies of one server, of which there is never more than MOST_HELD."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The request's body, held until the block ends.

        Raises:
            HTTPException: 413, no more of it is read; 408; or 503, to be sent again.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > MOST_BYTES:
            raise HTTPException(413, TOO_LARGE)
        body = bytearray()
        try:
            await self._read(request, body)
            yield bytes(body)
        finally:
            self._held -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in request.stream():
                    if self._held + len(piece) > MOST_HELD:
                        raise HTTPException(503, TOO_MANY, {"Retry-After": "1"})
                    self._held += len(piece)
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise HTTPException(413, TOO_LARGE)
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW) from None
        except ClientDisconnect:  # nobody is there to hear it, and it is no fault of ours
            raise HTTPException(400, "the sender hung up") from None
