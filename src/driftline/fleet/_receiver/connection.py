"""Reads from a connection by a deadline, whatever the pace of the client."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from contextlib import suppress

__all__ = ["DeadlineStream", "end_gently"]

LINGER_SECONDS = 1.0
"""Seconds in which a client may go on to send what is not read, so that it reads the response."""

LINGER_BYTES = 4 * 2**20
"""Bytes of that."""

CHUNK_BYTES = 65_536


class DeadlineStream(io.RawIOBase):
    """
    A stream of a socket whose reads end by a deadline.

    A time-out of a socket applies to each read alone, and a client may send a byte at a time.

    Args:
        connection: the socket.
        clock: returns monotonic seconds.

    Attributes:
        end: the deadline, by the clock.
    """

    def __init__(self, connection: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection, self._clock = connection, clock
        self.end = clock()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """
        Read what is there, at most as much as the buffer holds.

        Raises:
            TimeoutError: the deadline is over.
        """
        remaining = self.end - self._clock()
        if remaining <= 0.0:
            msg = "the request is late"
            raise TimeoutError(msg)
        self._connection.settimeout(remaining)
        return self._connection.recv_into(buffer)


def end_gently(connection: socket.socket) -> None:
    """
    Close the sending side, and read what the client still sends, for a short time.

    A socket that is closed with unread data resets the connection, and the client may lose the response.
    """
    end = time.monotonic() + LINGER_SECONDS
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        left = LINGER_BYTES
        while left > 0 and (remaining := end - time.monotonic()) > 0:
            connection.settimeout(remaining)
            size = len(connection.recv(CHUNK_BYTES))
            if not size:
                return
            left -= size
