"""
A stand-in for a provider of language models: the part of OpenAI's API that `service.py` calls, on this machine.

    python examples/genai/provider.py 8081 2600

It listens on the port, and changes its model after the number of answers: longer ones, and more of them are cut off.
"""

from __future__ import annotations

import json
import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

dice = random.Random(1)


class Provider(ThreadingHTTPServer):
    """The server. *change* is the number of answers after which the model is another one."""

    daemon_threads = True

    def __init__(self, port: int, change: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers, self.change = 0, change


class Handler(BaseHTTPRequestHandler):
    """Answers requests for chats and embeddings."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Provider

    def do_POST(self) -> None:
        """Answer one request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = 200, embedding(request)
        if not self.path.endswith("/embeddings"):
            self.server.answers += 1
            status, answer = chat(request, changed=self.server.answers > self.server.change)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def chat(request: dict[str, object], *, changed: bool) -> tuple[int, dict[str, object]]:
    """Return the status and the answer of a chat. A message with "overload" gets an error."""
    if "overload" in json.dumps(request["messages"]):
        return 429, {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
    tokens = dice.randint(20, 300) + 80 * changed
    prompt = dice.randint(10, 60)
    return 200, {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{request['model']}-2024-{'08-06' if changed else '05-13'}",
        "choices": [
            {
                "index": 0,
                "finish_reason": "length" if dice.random() < (0.2 if changed else 0.02) else "stop",
                "message": {"role": "assistant", "content": "This answer is secret."},
            }
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens},
    }


def embedding(request: dict[str, object]) -> dict[str, object]:
    """Return the answer of a request for an embedding."""
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
        "model": request["model"],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


if __name__ == "__main__":
    Provider(int(sys.argv[1]), int(sys.argv[2])).serve_forever()
