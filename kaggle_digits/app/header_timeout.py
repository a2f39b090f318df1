"""An HTTP protocol for uvicorn that disconnects clients that send their request too slowly.

uvicorn waits for the rest of a request for ever. A few hundred clients that send one byte a minute
(a "slow loris" attack) would use up the file descriptors of the process.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_TIMEOUT = 10.0  # seconds


class HeaderTimeoutProtocol(H11Protocol):
    """uvicorn's protocol with a limit of HEADER_TIMEOUT for the header of each request.

    The limit also applies to the rest of a body whose request was already answered. Otherwise the
    app limits the time for the body.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Stop the timer once the header is complete."""
        super().data_received(data)
        if not self._is_incomplete():
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def on_response_complete(self) -> None:
        """Start the timer for the next request, or for a body that is still being sent."""
        super().on_response_complete()
        if self._timer is None and self._is_incomplete():
            self._start_timer()

    def _is_incomplete(self) -> bool:
        """Return whether the server can do nothing until the client sends more."""
        state = self.conn.their_state
        answered = self.cycle is not None and self.cycle.response_complete
        return state is h11.IDLE or (state is h11.SEND_BODY and answered)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEADER_TIMEOUT, self._disconnect)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _disconnect(self) -> None:
        self._timer = None
        if self._is_incomplete():
            # close() would wait until the client has read everything.
            self.transport.abort()
