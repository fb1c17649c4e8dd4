"""A small HTTP server for probes and Prometheus, which no client can hold up.

It answers GET and HEAD in a thread of its own, on one event loop. A request has a few seconds and a few kilobytes, and
connections are bounded: where there are too many, the oldest makes room for the newest, so that a probe is answered
however many others never finish what they ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from venuewise.errors import ConfigError

REQUEST_SECONDS: Final = 5.0
"""Time for a request to arrive, and again for its answer to be taken."""
REQUEST_BYTES: Final = 8_192
CONNECTIONS: Final = 64
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    """What a path says."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


def serve(answer: Callable[[str], Answer], port: int, host: str) -> int:
    """Answer requests from a thread; return the port (0 asks for a free one).

    Parameters
    ----------
    answer : callable
        Takes a path without its query.
    port : int
    host : str
        Address to listen at.

    Raises
    ------
    ConfigError
        If the port cannot be opened.
    """
    loop = asyncio.new_event_loop()
    server = _Server(answer)
    try:
        listening = loop.run_until_complete(
            asyncio.start_server(server.handle, host, port, limit=REQUEST_BYTES, backlog=CONNECTIONS)
        )
    except (OSError, OverflowError) as error:
        loop.close()
        raise ConfigError(f"metrics port {port}: found {error}; expected one that can be opened") from None
    loop.set_exception_handler(lambda _loop, _context: None)
    threading.Thread(target=loop.run_forever, name="metrics", daemon=True).start()
    return int(listening.sockets[0].getsockname()[1])


class _Server:
    """Connections that are open, the oldest first."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.answer = answer
        self.open: dict[asyncio.Task[None] | None, None] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request, one answer, the end."""
        task = asyncio.current_task()
        if len(self.open) >= CONNECTIONS:
            oldest = next(iter(self.open))
            del self.open[oldest]
            if oldest is not None:
                oldest.cancel()
        self.open[task] = None
        # What a client does wrong, or leaves undone, is its own affair: it ends the connection, and nothing is logged.
        try:
            with contextlib.suppress(
                OSError, TimeoutError, asyncio.CancelledError, asyncio.IncompleteReadError
            ):
                await self._serve(reader, writer)
        finally:
            self.open.pop(task, None)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                head = b""
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            said = Answer(400, b"expected: GET /path HTTP/1.1, 8 KiB at most\n")
        elif words[0] not in (b"GET", b"HEAD"):
            said = Answer(405, b"expected GET or HEAD\n")
        else:
            said = self.answer(words[1].decode("latin-1").partition("?")[0])
        lines = [
            f"HTTP/1.1 {said.status} {_REASONS[said.status]}",
            f"Content-Type: {said.kind}",
            f"Content-Length: {len(said.body)}",
            "Connection: close",
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if words[0] == b"HEAD" else said.body))
        async with asyncio.timeout(REQUEST_SECONDS):
            await writer.drain()
            writer.close()
            await writer.wait_closed()
