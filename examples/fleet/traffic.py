"""Sends orders to the service. After some time their amounts rise, which is what the judge should find."""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import time
import urllib.parse
from contextlib import suppress


def main() -> None:
    """Send orders until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="+", help="addresses of the service, which take turns")
    parser.add_argument("--rate", type=float, default=20.0, help="orders per second")
    parser.add_argument("--drift-after", type=float, default=1_800.0, help="seconds until amounts rise")
    parser.add_argument("--factor", type=float, default=1.5, help="how much they rise")
    options = parser.parse_args()
    began = time.monotonic()
    for number, url in enumerate(itertools.cycle(options.urls)):
        time.sleep(max(0.0, began + number / options.rate - time.monotonic()))
        factor = options.factor if time.monotonic() - began > options.drift_after else 1.0
        order = {"amount": factor * random.lognormvariate(3.0, 1.0), "age": random.randrange(18, 90)}
        with suppress(OSError, http.client.HTTPException):  # a replica may be starting or ending
            send(url, order)


def send(url: str, order: dict[str, float]) -> None:
    """Request one prediction. Each request has its own connection, so that all replicas get some."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    try:
        connection.request("POST", "/predict", json.dumps(order), {"content-type": "application/json"})
        connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    main()
