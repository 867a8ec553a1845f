"""`driftline judge --watch`: a service that evaluates a fleet and exports what it finds (extra ``judge``)."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from driftline._backends.counts import CountSource
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline._runtime import validation as check
from driftline.canary import CanaryPolicy
from driftline.canary._sources import read_policy
from driftline.commands._fleet_options import FleetOptions
from driftline.commands._prometheus import prometheus_source
from driftline.commands._receiver_options import allowed_address, receiver_door
from driftline.commands._retraining_sinks import deliver
from driftline.commands._signals import set_on_signals
from driftline.commands._state import locked_state
from driftline.commands._watch_options import GRPC_PORT, HEALTH_PORT, HTTP_PORT, RETRAINING_PORT
from driftline.errors import ConfigurationError
from driftline.fleet._health import Health
from driftline.fleet._receiver.addresses import Address, Door, token_from_file
from driftline.fleet._receiver.opening import Receivers, open_receivers
from driftline.fleet._service import FleetService, ServiceOptions
from driftline.retraining import RetrainingPolicy, RetrainingQueue

__all__ = ["run_until_signal", "watch"]

_log = logging.getLogger("driftline")

GRACE_SECONDS = 10.0
"""Seconds that a reading may go on after a signal. Kubernetes kills a pod after 30 s, of which the export has some."""

POLL_SECONDS = 0.2
"""Seconds after which the main thread looks for signals, at most."""

KEPT_WINDOWS = 4
"""Windows of counts that the store of OTLP keeps: the one that is read, the one before, and late processes."""

CODE = 0
"""Exit code after a signal. What drifts is in the telemetry."""


def watch(options: argparse.Namespace, asked: FleetOptions) -> int:
    """
    Evaluate until a signal ends the process, and return the exit code.

    Raises:
        ConfigurationError: an argument is wrong, the file of the state is damaged, or an extra is absent.
        OSError: an address cannot be listened at.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("opentelemetry").setLevel(logging.WARNING)
    seconds = check.duration("--timeout", options.timeout)
    door = receiver_door(options)
    http = allowed_address("--otlp", options.otlp, HTTP_PORT, door)
    grpc = allowed_address("--otlp-grpc", options.otlp_grpc, GRPC_PORT, door)
    addresses = {
        name: Address.parse(f"--{name}", text, port)
        for name, text, port in (
            ("health", options.health, HEALTH_PORT),
            ("retraining-http", options.retraining_http, RETRAINING_PORT),
        )
        if text is not None
    }
    requests_door = _requests_door(options, door, addresses.get("retraining-http"))
    with ExitStack() as stack:
        file = None if options.state is None else locked_state(options.state, stack)
        store = None
        if http is not None or grpc is not None:
            store = OtlpStore(retention_by(asked.step, KEPT_WINDOWS * (asked.window.seconds or 0.0)))
        setup = _set_up(options.service_name or "driftline-judge")
        stack.callback(setup)
        source = _source(options, store, seconds)
        service = FleetService(_service_options(options, asked), source, file, store, patience=seconds)
        if "health" in addresses:
            _serve_health(addresses["health"], service, stack)
        if "retraining-http" in addresses and service.queue is not None:
            _serve_requests(addresses["retraining-http"], requests_door, service.queue, stack)
        if service.queue is not None:
            deliver(options, service.queue, service.health, stack)
        receivers = ExitStack()
        stack.push(receivers)
        if store is not None:
            _show_receivers(open_receivers(http, grpc, door, store, receivers), service.health)
        run_until_signal(service, receivers)
    return CODE


def run_until_signal(service: FleetService, receivers: ExitStack) -> None:
    """
    Run the service in a thread until a signal comes, and let it end: the last counts are saved.

    Raises:
        RuntimeError: it has ended by itself. An orchestrator would not start it again after the code of a signal.
    """
    ended = threading.Event()
    with set_on_signals(ended):
        thread = threading.Thread(target=service.run, args=(ended,), name="driftline-fleet", daemon=True)
        thread.start()
        # A signal is handled between two steps of this thread, which must not wait for ever.
        while thread.is_alive() and not ended.wait(POLL_SECONDS):
            pass
        _log.info("ending")
        receivers.close()
        thread.join(GRACE_SECONDS)
        if thread.is_alive():
            _log.warning("a reading goes on that began before the signal: it does not count")
            return
        service.close()
    if not ended.is_set():
        msg = "the service ended by itself"
        raise RuntimeError(msg)


def _set_up(name: str) -> Callable[[], None]:
    """
    Set OpenTelemetry up, and return a function that exports for the last time.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    from driftline.otlp import configure_otlp  # noqa: PLC0415 - the extra judge

    return configure_otlp(name).shutdown


def _source(options: argparse.Namespace, store: OtlpStore | None, seconds: float) -> Callable[[], CountSource]:
    """Return a function that returns the store of counts."""
    if store is not None:
        received = store
        return lambda: received
    prometheus = prometheus_source(options, temporality=options.temporality)
    return lambda: replace(prometheus, deadline=time.monotonic() + seconds)


def _service_options(options: argparse.Namespace, asked: FleetOptions) -> ServiceOptions:
    """
    Return what the service does.

    Raises:
        ConfigurationError: the policy or the queue is invalid.
        OSError: the file of the policy cannot be read.
    """
    retraining = None
    if options.retraining_queue is not None:
        queue = RetrainingQueue(options.retraining_queue)
        retraining = RetrainingPolicy(queue=queue)
    return ServiceOptions(
        reference=asked.reference,
        window=asked.window,
        rule=asked.rule,
        interval=asked.interval,
        windows=asked.windows,
        name=asked.model,
        version=asked.version,
        variant=asked.variant,
        labels=options.labels,
        policy=CanaryPolicy() if options.policy is None else read_policy(options.policy),
        retraining=retraining,
    )


def _requests_door(options: argparse.Namespace, door: Door, address: Address | None) -> Door:
    """
    Return what a pipeline must have to report on requests.

    Raises:
        ConfigurationError: other hosts could report without TLS or a token, or the token cannot be read.
    """
    path = options.retraining_token_file
    token = None if path is None else token_from_file("--retraining-token-file", path)
    if address is not None and not address.is_loopback and (token is None or door.certificate is None):
        msg = (
            f"--retraining-http {address}: expected an address of this host, or --retraining-token-file, --otlp-cert "
            "and --otlp-key too: any host could report otherwise"
        )
        raise ConfigurationError(msg)
    return replace(door, token=token)


def _serve_requests(address: Address, door: Door, queue: RetrainingQueue, stack: ExitStack) -> None:
    from driftline.fleet._requests_server import requests_server  # noqa: PLC0415 - the extra judge

    server = requests_server(address, door, queue)
    stack.callback(server.close)
    _log.info("requests for retraining at http%s://%s", "s" if door.certificate else "", server.address)


def _serve_health(address: Address, service: FleetService, stack: ExitStack) -> None:
    from driftline.fleet._health import health_server  # noqa: PLC0415 - the extra judge

    server = health_server(address, service.health)
    stack.callback(server.close)
    _log.info("health at http://%s/healthz", server.address)


def _show_receivers(receivers: Receivers, health: Health) -> None:
    """Let the health and the log say what the receivers do."""
    intake, http, grpc = receivers.intake, receivers.http, receivers.grpc
    if http is not None:
        health.show("otlp", lambda: {"accepted": intake.requests, "refused": http.problems})
        _log.info("OTLP/HTTP at %s", http.address)
    if grpc is not None:
        health.show("otlp_grpc", lambda: {"accepted": intake.requests, "refused": dict(grpc.problems)})
        _log.info("OTLP/gRPC at %s", grpc.address)
