"""Arguments of `driftline judge --watch` for the sinks that take requests for retraining to a pipeline."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from driftline._backends.access import secret_from_file
from driftline.errors import ConfigurationError
from driftline.fleet._health import Health
from driftline.retraining import CloudEventSink, CommandSink, RetrainingDelivery, RetrainingQueue, RetrainingSink

__all__ = ["SINK_OPTIONS", "add_sink_arguments", "deliver"]

SINK_OPTIONS = (
    "retraining-command",
    "retraining-cloudevents",
    "retraining-cloudevents-token-file",
    "retraining-mlflow",
)
"""The arguments, which need ``--retraining-queue``."""

CONFIGURED = "configured"
"""The value of ``--retraining-mlflow`` without an address: MLflow is configured by its own variables."""


def add_sink_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the arguments to a group of a parser."""
    group.add_argument(
        "--retraining-command", metavar="LINE", help="run this line of the shell, which gets each request as JSON"
    )
    group.add_argument("--retraining-cloudevents", metavar="URL", help="send each request to this URL as a CloudEvent")
    group.add_argument("--retraining-cloudevents-token-file", metavar="FILE", help="the bearer token of that URL")
    group.add_argument(
        "--retraining-mlflow",
        metavar="URL",
        nargs="?",
        const=CONFIGURED,
        help="set the tag driftline.retraining in the model registry of MLflow (default: as MLflow is configured)",
    )


def deliver(options: argparse.Namespace, queue: RetrainingQueue, health: Health, stack: ExitStack) -> None:
    """
    Deliver the requests of a queue until the stack closes, if a sink is named.

    Raises:
        ConfigurationError: an argument has a wrong value, or MLflow is not installed.
    """
    sinks = _sinks(options)
    if not sinks:
        return
    delivery = RetrainingDelivery(queue, sinks)
    stack.callback(delivery.close)
    delivery.start()
    health.show("retraining", delivery.problems)


def _sinks(options: argparse.Namespace) -> list[RetrainingSink]:
    sinks: list[RetrainingSink] = []
    path = options.retraining_cloudevents_token_file
    if options.retraining_command is not None:
        sinks.append(CommandSink(options.retraining_command))
    if options.retraining_cloudevents is not None:
        token = None if path is None else secret_from_file("--retraining-cloudevents-token-file", path)
        if token is not None:
            token()  # a file that cannot be read is an error at the start
        sinks.append(CloudEventSink(options.retraining_cloudevents, token=token))
    elif path is not None:
        msg = "--retraining-cloudevents-token-file: expected with --retraining-cloudevents only"
        raise ConfigurationError(msg)
    if options.retraining_mlflow is not None:
        from driftline.integrations.mlflow_registry import RequestTag  # noqa: PLC0415 - optional

        server = None if options.retraining_mlflow == CONFIGURED else options.retraining_mlflow
        sinks.append(RequestTag(tracking_uri=server))
    return sinks
