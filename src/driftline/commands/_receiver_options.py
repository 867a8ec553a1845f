"""Arguments of the receivers of OTLP. The commands that are sent telemetry have them."""

from __future__ import annotations

import argparse
from pathlib import Path

from driftline.fleet._receiver.addresses import LOCALHOST, Address, Door, token_from_file

__all__ = ["add_receiver_arguments", "allowed_address", "receiver_door"]


def add_receiver_arguments(
    group: argparse._ArgumentGroup, http_port: int, grpc_port: int, *, over_http: str, over_grpc: str
) -> None:
    """
    Add the arguments to a group of a parser.

    Args:
        group: the group.
        http_port: the port of OTLP/HTTP, if the argument has none.
        grpc_port: the same of OTLP/gRPC.
        over_http: what OTLP/HTTP is for, for the help.
        over_grpc: the same of OTLP/gRPC.
    """
    for name, port, words in (("--otlp", http_port, over_http), ("--otlp-grpc", grpc_port, over_grpc)):
        address = f"{LOCALHOST}:{port}"
        group.add_argument(name, metavar="HOST:PORT", nargs="?", const=address, help=f"{words} (default {address})")
    group.add_argument("--otlp-token-file", metavar="FILE", help="the bearer token that senders must have")
    group.add_argument("--otlp-cert", metavar="FILE", help="PEM certificate of the receivers, with its chain")
    group.add_argument("--otlp-key", metavar="FILE", help="PEM key of the certificate, without a password")


def receiver_door(options: argparse.Namespace) -> Door:
    """
    Return who is let in.

    Raises:
        ConfigurationError: the token cannot be read.
    """
    token = None if options.otlp_token_file is None else token_from_file("--otlp-token-file", options.otlp_token_file)
    certificate, key = (None if path is None else Path(path) for path in (options.otlp_cert, options.otlp_key))
    return Door(token=token, certificate=certificate, key=key)


def allowed_address(argument: str, text: str | None, port: int, door: Door) -> Address | None:
    """
    Return the address of a receiver; None if *text* is None.

    Args:
        argument: the name of the argument, for a message.
        text: its value.
        port: the port, if the value has none.
        door: who is let in.

    Raises:
        ConfigurationError: the text is no address, or other hosts could connect without TLS or a token.
    """
    if text is None:
        return None
    address = Address.parse(argument, text, port)
    door.check(argument, address)
    return address
