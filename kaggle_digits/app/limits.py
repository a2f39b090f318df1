"""Limit what clients can use up: connections, time and memory of requests, uploads, responses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 500  # and so of requests in progress: each connection has one at a time
HEADER_TIMEOUT = 10.0  # seconds
RESPONSE_TIMEOUT = 30.0  # seconds for a client to read what was sent to it
MAX_PIPELINED_BYTES = 1 << 20  # of requests that were sent before an earlier one was answered
MAX_UPLOAD_BYTES = 10_000_000
MAX_TOTAL_BYTES = 10 * MAX_UPLOAD_BYTES  # of all uploads that are being received or processed
UPLOAD_TIMEOUT = 30.0  # seconds
TOO_LARGE = f"the picture is larger than {MAX_UPLOAD_BYTES // 1_000_000} MB; send a smaller one"
TOO_SLOW = f"the upload took longer than {UPLOAD_TIMEOUT:.0f} seconds; send a smaller picture"
TOO_MANY = "too many pictures are being uploaded at once; try again in a second"


class LimitedProtocol(H11Protocol):
    """uvicorn's protocol with limits for what one connection, and all together, can use up.

    uvicorn waits for the rest of a request for ever: a few hundred clients that send one byte a
    minute (a "slow loris" attack) would use up the file descriptors of the process. Therefore the
    header of each request has a limit of HEADER_TIMEOUT. It also applies to the rest of a body
    whose request was already answered; UploadLimiter limits others.

    A client must read each response within RESPONSE_TIMEOUT, and the next one is not begun before,
    so that unread responses do not use up memory. Nor do requests that are sent ahead of responses:
    uvicorn stores them without a limit while a file is sent.
    """

    _header_timer: asyncio.TimerHandle | None = None
    _response_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # pause_writing() as soon as anything is unread
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._limit_header()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._header_timer)
        _cancel(self._response_timer)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the timer: something is waiting for the client to read it."""
        super().pause_writing()
        if self._response_timer is None:
            # close() would wait until the client has read everything.
            abort = self.transport.abort
            self._response_timer = self.loop.call_later(RESPONSE_TIMEOUT, abort)

    def resume_writing(self) -> None:
        """Stop the timer: the client has read everything."""
        super().resume_writing()
        _cancel(self._response_timer)
        self._response_timer = None

    def data_received(self, data: bytes) -> None:
        """Stop the timer once the header is complete."""
        super().data_received(data)
        if self.conn.their_state is h11.DONE:
            pipelined, _ = self.conn.trailing_data
            if len(pipelined) > MAX_PIPELINED_BYTES:
                self.transport.abort()
        self._limit_header()

    def on_response_complete(self) -> None:
        """Start the timer for the next request, or for a body that is still being sent."""
        super().on_response_complete()
        self._limit_header()

    def _limit_header(self) -> None:
        """Run the timer while the server can do nothing until the client sends more."""
        state = self.conn.their_state
        answered = self.cycle is not None and self.cycle.response_complete
        if not (state is h11.IDLE or (state is h11.SEND_BODY and answered)):
            _cancel(self._header_timer)
            self._header_timer = None
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_TIMEOUT, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


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
        if declared.isascii() and declared.isdigit() and int(declared) > MAX_UPLOAD_BYTES:
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
