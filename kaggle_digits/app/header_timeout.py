"""HTTP that does not wait for ever: who says too little too slowly is left.

A server that waits for the rest of a request as long as its sender likes can be held by a few
hundred senders of one byte a minute, each of which takes a file of the process.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0


class Prompt(H11Protocol):
    """uvicorn's, but each request's head must be whole within HEAD_SECONDS.

    So must a body be whose request is answered already; otherwise its time is the app's to limit.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece of a request has come."""
        super().data_received(data)
        if not self._waits():
            self._stop_waiting()
        elif self._late is None:
            self._watch()

    def on_response_complete(self) -> None:
        """An answer was sent, perhaps before its request was whole."""
        super().on_response_complete()
        if self._late is None and self._waits():
            self._watch()

    def _waits(self) -> bool:
        """Whether nothing is to be done until more is sent."""
        theirs = self.conn.their_state
        answered = self.cycle is not None and self.cycle.response_complete
        return theirs is h11.IDLE or (theirs is h11.SEND_BODY and answered)

    def _watch(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self._leave)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _leave(self) -> None:
        self._late = None
        if self._waits():
            # Not close(): who never reads would be waited for.
            self.transport.abort()
