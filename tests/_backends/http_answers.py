"""A server of sockets that answers with given bytes, whatever is asked."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager, suppress
from http.client import parse_headers


@contextmanager
def server(*answers, pause=0.0):
    """Answer each connection with the next of these bytes, the last for ever; *pause* is between two bytes."""
    waiting = list(answers)
    ended = threading.Event()

    def answer(connection):
        with connection, suppress(OSError):
            read_request(connection)
            data = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if not pause:
                connection.sendall(data)
                return
            for byte in data:
                connection.sendall(bytes([byte]))
                if ended.wait(pause):
                    return

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR) if sys.platform == "linux" else None
    thread.join(5)


def read_request(connection):
    """Read a whole request. To close a connection that has more of it would reset it, before the answer is read."""
    with connection.makefile("rb") as lines:
        lines.readline()
        headers = parse_headers(lines)
        lines.read(int(headers.get("Content-Length", 0)))


def http(body, status="200 OK", headers=""):
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{headers}\r\n".encode() + data
