"""Reads a fleet once, and evaluates its windows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Grid, Match
from driftline.commands._fleet_options import FleetOptions
from driftline.fleet import FleetJudge, FleetModel, FleetReader, find_processes
from driftline.fleet._blocks import blocks_until
from driftline.fleet._processes import choose_model
from driftline.fleet._state_file import ServiceState, StateFile, Subject

__all__ = ["FleetLook", "choose_past_model", "look"]


class FleetLook(NamedTuple):
    """
    What a fleet shows.

    Attributes:
        model: the model.
        judge: has evaluated the windows.
        notes: sentences about processes that are not counted.
    """

    model: FleetModel
    judge: FleetJudge
    notes: tuple[str, ...]


def look(asked: FleetOptions, source: CountSource, file: StateFile | None, now: float) -> FleetLook:
    """
    Read all windows until now, and evaluate them in order.

    Args:
        asked: what is evaluated.
        source: the store.
        file: what an earlier look has read, which is not read again, and what this look has read then. If None, nothing
            is known.
        now: Unix time in seconds.

    Raises:
        ConfigurationError: several models fit, or none does; or the file is damaged.
        OSError: the store cannot be reached, is late, or has lost values; or the file cannot be written.
        ValueError: a response cannot be read.
    """
    seconds = asked.window.seconds or 0.0
    model = choose_past_model(asked, source, now)
    step = asked.step
    subject = Subject(model, asked.reference.fingerprint, seconds, step)
    state = ServiceState() if file is None else file.read()
    history = blocks_until(now, state.history) if state.subject == subject else None
    judge = asked.build(history)
    # An export takes a while to arrive. Windows end at multiples of their length: however often the command runs, it
    # evaluates the same ones, so that a budget of false alarms holds. They are those of `driftline judge --watch`.
    end = math.floor((now - asked.interval) / seconds) * seconds
    start = max(end - asked.windows * seconds, judge.reread_from)
    notes: tuple[str, ...] = ()
    points = round((end - start) / step) + 1
    if points > 1:
        blocks, _, notes = FleetReader(source, asked.reference, model).read(Grid(start, step, points))
        judge.feed(blocks)
    if file is not None:
        states = {name: status.state for name, status in judge.result().features.items()}
        if state.subject != subject:
            state = ServiceState(received=state.received)
        file.write(replace(state, subject=subject, history=judge.history, states=states))
    return FleetLook(model, judge, notes)


def choose_past_model(asked: FleetOptions, source: CountSource, now: float) -> FleetModel:
    """Return the model that is evaluated: one that exports now, or else in the time that is read."""
    match: Match = {} if asked.model is None else {sc.ML_MODEL_NAME: asked.model}
    seconds = asked.window.seconds or 0.0
    processes = find_processes(source, match, at=now, within=seconds)
    if not processes:
        processes = find_processes(source, match, at=now, within=seconds * asked.windows)
    return choose_model(processes, asked.reference.fingerprint, asked.model, asked.version, asked.variant)
