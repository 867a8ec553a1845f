"""Arguments of `driftline judge --watch`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from driftline.commands._prometheus import ACCESS_OPTIONS
from driftline.commands._receiver_options import add_receiver_arguments
from driftline.commands._retraining_sinks import SINK_OPTIONS, add_sink_arguments
from driftline.errors import ConfigurationError
from driftline.fleet._receiver.addresses import LOCALHOST

__all__ = ["GRPC_PORT", "HEALTH_PORT", "HTTP_PORT", "RETRAINING_PORT", "add_watch_arguments", "check_watch_arguments"]

HTTP_PORT, GRPC_PORT = 4319, 4320
"""Ports of the receivers. A collector on the same host has OTLP's own, 4317 and 4318."""

HEALTH_PORT = 8321

RETRAINING_PORT = 8322

WATCH_ONLY = (
    "otlp",
    "otlp-grpc",
    "otlp-token-file",
    "otlp-cert",
    "otlp-key",
    "health",
    "service-name",
    "retraining-queue",
    "retraining-http",
    "retraining-token-file",
    *SINK_OPTIONS,
    "policy",
)
"""Arguments that only make sense with ``--watch``."""


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser."""
    parser.add_argument(
        "--state", metavar="FILE", help="file of what is known, so that a restart or a later command goes on"
    )
    group = parser.add_argument_group("--watch", "evaluate block by block until a signal ends the process")
    group.add_argument("--watch", action="store_true", help="export scores, states and events of the fleet over OTLP")
    add_receiver_arguments(
        group,
        HTTP_PORT,
        GRPC_PORT,
        over_http="receive the counts over OTLP/HTTP instead of reading a server",
        over_grpc="receive them over OTLP/gRPC, too or instead",
    )
    group.add_argument(
        "--health",
        metavar="HOST:PORT",
        nargs="?",
        const=f"{LOCALHOST}:{HEALTH_PORT}",
        help=f"answer GET /healthz (default {LOCALHOST}:{HEALTH_PORT})",
    )
    group.add_argument("--service-name", metavar="NAME", help="service.name of the telemetry (default driftline-judge)")
    group.add_argument("--retraining-queue", metavar="FILE", help="RetrainingQueue that gets requests when it drifts")
    group.add_argument(
        "--retraining-http",
        metavar="HOST:PORT",
        nargs="?",
        const=f"{LOCALHOST}:{RETRAINING_PORT}",
        help="let pipelines report on the requests in the queue; --retraining-token-file and the certificate of the "
        f"receivers are required for other hosts (default {LOCALHOST}:{RETRAINING_PORT})",
    )
    group.add_argument("--retraining-token-file", metavar="FILE", help="the bearer token that pipelines must have")
    add_sink_arguments(group)
    group.add_argument("--policy", metavar="FILE", help="a CanaryPolicy as JSON, for canaries of the model")


def check_watch_arguments(options: argparse.Namespace) -> None:
    """
    Check that the arguments fit together.

    Raises:
        ConfigurationError: they do not.
    """
    receives = [name for name in ("otlp", "otlp-grpc") if _value(options, name) is not None]
    if not options.watch:
        _expect_absent(options, WATCH_ONLY, "with --watch only")
    if options.retraining_http is not None and options.retraining_queue is None:
        msg = "--retraining-http: expected with --retraining-queue only"
        raise ConfigurationError(msg)
    if options.retraining_queue is None:
        _expect_absent(options, SINK_OPTIONS, "with --retraining-queue only")
    if options.prometheus is None and not receives:
        msg = "expected --prometheus, or --watch with --otlp or --otlp-grpc"
        raise ConfigurationError(msg)
    if options.prometheus is not None:
        _expect_absent(options, receives, "without --prometheus")
        _expect_absent(options, ("otlp-token-file",), "with --otlp or --otlp-grpc only")
        if options.retraining_http is None:
            _expect_absent(options, ("otlp-cert", "otlp-key"), "with --otlp or --otlp-grpc only")
        return
    _expect_absent(options, ("selector", *ACCESS_OPTIONS), "with --prometheus only")
    if options.otlp is not None and options.otlp == options.otlp_grpc and not options.otlp.endswith(":0"):
        msg = f"--otlp-grpc {options.otlp_grpc}: expected another port than --otlp"
        raise ConfigurationError(msg)


def _expect_absent(options: argparse.Namespace, names: Sequence[str], expected: str) -> None:
    for name in names:
        if _value(options, name) is not None:
            msg = f"--{name}: expected {expected}"
            raise ConfigurationError(msg)


def _value(options: argparse.Namespace, name: str) -> object:
    value: object = getattr(options, name.replace("-", "_"))
    return value
