"""`FleetService`: evaluates a fleet block by block, for as long as the process lasts, and across its restarts."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Grid
from driftline._backends.otlp_store import OtlpStore
from driftline._runtime.guard import Guard
from driftline._windows.window import Window
from driftline.canary import CanaryPolicy
from driftline.detection import FalseAlarms
from driftline.errors import ConfigurationError
from driftline.fleet._blocks import Blocks, blocks_until
from driftline.fleet._canaries import FleetCanaries
from driftline.fleet._counts import FleetReader
from driftline.fleet._export import FleetExport, Providers, net_changes
from driftline.fleet._health import Health
from driftline.fleet._judge import FleetJudge, FleetResult, block_seconds
from driftline.fleet._processes import FleetModel, NoProcessError, choose_model, find_processes
from driftline.fleet._retraining import FleetRetraining
from driftline.fleet._state_file import Received, ServiceState, StateFile, Subject
from driftline.reference import Reference
from driftline.results import CanaryState, FeatureStatus, StateChange
from driftline.retraining import RetrainingPolicy, RetrainingQueue

__all__ = ["FleetService", "ServiceOptions"]

_log = logging.getLogger("driftline")

LONGEST_PAUSE = 30.0
"""Seconds between two turns at most. A store that could not be reached is asked again."""

SAVE_SHARE = 0.05
"""Share of the time that may pass with saving what has arrived. A large store is saved less often."""

FAST_SECONDS = 0.5
"""Seconds of saving that do not count as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """
    What the service does.

    Attributes:
        reference: the reference of the fleet.
        window: the window, of time.
        rule: decides which features drift.
        interval: seconds between two exports of a process.
        windows: windows before the start that are evaluated, if the store has them.
        name: ``ml.model.name``. If None, the only one that exports.
        version: ``ml.model.version``. If None, the only one that has the reference.
        variant: ``ml.model.variant``. If None, as *version*.
        labels: whether telemetry names categories.
        policy: decides about canaries.
        retraining: makes requests for retraining. If None, there are none.
    """

    reference: Reference
    window: Window
    rule: FalseAlarms
    interval: float
    windows: int
    name: str | None = None
    version: str | None = None
    variant: str | None = None
    labels: bool = False
    policy: CanaryPolicy
    retraining: RetrainingPolicy | None = None


@dataclass(slots=True)
class _Watched:
    """The model that is evaluated."""

    subject: Subject
    fleet_judge: FleetJudge
    export: FleetExport
    retraining: FleetRetraining
    canaries: FleetCanaries
    idle: bool = False


class FleetService:
    """
    Evaluates a fleet.

    Args:
        options: what is done.
        source: returns the store of counts, to be read within some seconds from now.
        file: what is known across restarts. If None, nothing is.
        received: the store, if it is one in memory that is to be kept in the file too.
        patience: seconds that one reading may take.
        providers: where telemetry goes. If None, to the global ones.
        clock: returns the Unix time in seconds.

    Attributes:
        health: what has been done last, and what is wrong.

    Raises:
        ConfigurationError: the file cannot be read, or is damaged.
    """

    def __init__(
        self,
        options: ServiceOptions,
        source: Callable[[], CountSource],
        file: StateFile | None,
        received: OtlpStore | None = None,
        *,
        patience: float,
        providers: Providers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._options, self._source, self._file, self._received = options, source, file, received
        self._clock = clock
        self._providers = providers or Providers()
        self._guard = Guard("fleet", "log")
        self._changes: list[StateChange] = []
        self._watched: _Watched | None = None
        self._looked_at_canary = -math.inf
        self._saved, self._save_seconds = -math.inf, 0.0
        self._step = block_seconds(options.reference, options.window)
        self.health = Health(patience + 4 * LONGEST_PAUSE, self._numbers, clock)
        self._state = ServiceState() if file is None else file.read()
        self._restore()

    # --- the life of the service -------------------------------------------------------------------------------------

    @property
    def queue(self) -> RetrainingQueue | None:
        """The queue of requests for retraining, or None if there are none."""
        return None if self._options.retraining is None else self._options.retraining.queue

    def run(self, ended: threading.Event) -> None:
        """Evaluate until *ended* is set."""
        while not ended.is_set():
            self.turn()
            ended.wait(self._pause())

    def turn(self) -> None:
        """Read and evaluate what is new, and export it. Nothing is raised: what goes wrong is counted and said once."""
        self.health.turn()
        with self._problem("counts"):
            self._look(self._source())
        watched = self._watched
        now = self._clock()
        if watched is not None and now - self._looked_at_canary >= self._options.interval:
            self._looked_at_canary = now
            with self._problem("canary"):
                emit = watched.canaries.look(self._source(), now)
                if emit is not None:
                    self._save()
                    emit()
        self.health.turn()

    def close(self) -> None:
        """Save what is known, at the end of the process."""
        self._save()

    def _pause(self) -> float:
        """Return the seconds until the next block has arrived, or a shorter time."""
        since = self._clock() - self._options.interval
        return min(max(self._step - since % self._step, 0.05), LONGEST_PAUSE)

    @contextmanager
    def _problem(self, part: str) -> Iterator[None]:
        """Count what goes wrong in the block, say it when it is new, and say when it is over."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a service goes on
            if not isinstance(error, NoProcessError):  # before the first process it waits, which is no error
                self._caught("fleet")
            is_expected = isinstance(error, (ConfigurationError, OSError, ValueError))
            text = str(error) if is_expected else f"{type(error).__name__}: {error}"
            if self.health.wrong(part, text):
                _log.warning("%s: %s", part, text, exc_info=not is_expected)
        else:
            if self.health.wrong(part, None):
                _log.warning("%s: all is well again", part)

    def _caught(self, where: str) -> None:
        """Count an error under a value of ``ml.monitor.place``."""
        self._guard.counts[where] = self._guard.counts.get(where, 0) + 1

    def _numbers(self) -> dict[str, object]:
        """Return further numbers of the health."""
        watched = self._watched
        numbers: dict[str, object] = {"errors": sum(self._guard.counts.values())}
        if watched is not None:
            result = watched.fleet_judge.result()
            numbers |= {
                "model": str(watched.subject.model),
                "state": result.state,
                "windows": result.windows,
                "processes": result.processes,
            }
        if self._received is not None:
            numbers |= {"series": self._received.series, "points": dict(self._received.counts)}
        return numbers

    # --- counts ------------------------------------------------------------------------------------------------------

    def _look(self, source: CountSource) -> None:
        """Evaluate the blocks that have arrived."""
        now = self._clock()
        watched = self._find(source, now)
        if (watched.fleet_judge.fed_until or -math.inf) > now:
            _log.warning("the clock was ahead: blocks that end later than now do not count")
            watched.fleet_judge = self._fleet_judge(watched.fleet_judge.history)
        fleet_judge, step = watched.fleet_judge, self._step
        end = math.floor((now - self._options.interval) / step) * step
        start = self._first(fleet_judge, end)
        if end < start + step / 2 or (fleet_judge.fed_until or -math.inf) > end - step / 2:
            return
        try:
            reader = FleetReader(source, self._options.reference, watched.subject.model)
            reading = reader.read(Grid(start, step, round((end - start) / step) + 1))
        except ConfigurationError:  # the processes have another reference by now
            watched.idle = True
            raise
        watched.idle = not reading.processes
        notes = "; ".join(reading.notes)
        if self.health.wrong("fleet", notes or None) and notes:
            _log.warning("%s", notes)
        self._changes.clear()
        fleet_judge.feed(reading.blocks)
        changes, result = net_changes(self._changes), fleet_judge.result()
        self.health.evaluated(fleet_judge.fed_until)
        self._save(soon=not changes)
        self._export(watched, result, changes)

    def _first(self, fleet_judge: FleetJudge, end: float) -> float:
        """Return the start of the first block to read."""
        seconds = self._options.window.seconds or 0.0
        earliest = end - self._options.windows * seconds
        if fleet_judge.history is not None:
            return max(earliest, fleet_judge.reread_from)
        if self._received is not None:
            earliest = max(earliest, self._received.began)
        # All services evaluate the same windows, whenever they were started.
        return math.floor(earliest / seconds) * seconds

    def _find(self, source: CountSource, now: float) -> _Watched:
        """
        Return what is evaluated.

        Raises:
            ConfigurationError: no process exports, or processes of several models do.
        """
        options, watched = self._options, self._watched
        if watched is not None and not watched.idle:
            return watched
        match = {} if options.name is None else {sc.ML_MODEL_NAME: options.name}
        processes = find_processes(source, match, at=now, within=options.window.seconds or 0.0)
        if watched is not None and not processes:
            return watched  # the fleet is silent, or gone
        model = choose_model(processes, options.reference.fingerprint, options.name, options.version, options.variant)
        if watched is None or watched.subject.model != model:
            if watched is not None:
                watched.export.close()
            watched = self._watched = self._begin(model, ServiceState(canaries=self._decisions))
        return watched

    def _begin(self, model: FleetModel, state: ServiceState) -> _Watched:
        """Return a model to be evaluated, from a state on."""
        options, counts = self._options, self._guard.counts
        subject = Subject(model, options.reference.fingerprint, options.window.seconds or 0.0, self._step)
        export = FleetExport(model, self._providers, counts, state.states)
        retraining = FleetRetraining(
            options.retraining,
            options.reference,
            options.window.label,
            export,
            self._guard,
            self._clock,
            labels=options.labels,
        )

        def export_of(version: FleetModel) -> FleetExport:
            return FleetExport(version, self._providers, {})

        canaries = FleetCanaries(
            model.name, options.policy, options.interval, state.canaries, export_of, self._guard.report_error
        )
        return _Watched(subject, self._fleet_judge(state.history), export, retraining, canaries)

    def _fleet_judge(self, history: Blocks | None) -> FleetJudge:
        """Return the evaluator, which knows earlier blocks."""
        options = self._options
        windows = self._whole_windows(history)
        return FleetJudge(
            options.reference, options.window, options.rule, on_change=self._changes.append, history=windows
        )

    def _whole_windows(self, history: Blocks | None) -> Blocks | None:
        """Return blocks from the start of a window on, so that the windows after a restart are those before it."""
        history = blocks_until(self._clock(), history)
        if history is None:
            return None
        seconds = self._options.window.seconds or 0.0
        first = round((-history.start % seconds) / self._step) % round(seconds / self._step)
        return history[first:] if first < len(history) else None

    # --- telemetry ---------------------------------------------------------------------------------------------------

    def _export(self, watched: _Watched, result: FleetResult, changes: list[StateChange]) -> None:
        """Export a result, and emit events. The state was saved before, so that a restart does not emit them again."""
        for change in changes:
            watched.export.emit_change(replace(change, status=self._redacted(watched, change.feature, change.status)))
        watched.retraining.decide(result, watched.fleet_judge)
        states = {name: self._redacted(watched, name, status) for name, status in result.features.items()}
        watched.export.show(states, watched.fleet_judge.reliable_scores)

    def _redacted(self, watched: _Watched, name: str, status: FeatureStatus) -> FeatureStatus:
        return status if self._options.labels else watched.fleet_judge.without_categories(name, status)

    # --- restarts ----------------------------------------------------------------------------------------------------

    @property
    def _decisions(self) -> dict[str, tuple[CanaryState, str]]:
        return {} if self._watched is None else self._watched.canaries.decisions

    def _restore(self) -> None:
        """Go on with what the file holds."""
        state, options = self._state, self._options
        if state.received is not None and self._received is not None:
            self._received.restore(state.received.began, state.received.entries)
        subject = state.subject
        if subject is None:
            return
        model = subject.model
        wanted = (options.name, model.name), (options.version, model.version), (options.variant, model.variant)
        same = subject == Subject(
            model, options.reference.fingerprint, options.window.seconds or 0.0, self._step
        ) and all(asked in {None, known} for asked, known in wanted)
        if not same:
            _log.warning("the state of %s, with another reference or window, does not count", model)
            return
        watched = self._watched = self._begin(model, state)
        result = watched.fleet_judge.result()
        # What is known of more than the last windows is lost, so a state may differ from the one exported before.
        changes = [
            StateChange(name, state.states[name], status, options.window.label)
            for name, status in result.features.items()
            if name in state.states and state.states[name] != status.state
        ]
        self._changes.clear()
        if result.windows:
            self._export(watched, result, changes)

    def _save(self, *, soon: bool = False) -> None:
        """
        Save what is known.

        Args:
            soon: whether it may also be saved later, because that takes long.
        """
        watched = self._watched
        if self._file is None:
            return
        began = time.monotonic()
        slow = self._save_seconds > FAST_SECONDS
        if soon and slow and began - self._saved < self._save_seconds / SAVE_SHARE:
            return
        received = self._received
        with self._problem("state"):
            self._file.write(
                ServiceState(
                    None if watched is None else watched.subject,
                    None if watched is None else watched.fleet_judge.history,
                    {}
                    if watched is None
                    else {name: each.state for name, each in watched.fleet_judge.result().features.items()},
                    self._decisions,
                    None if received is None else Received(received.began, received.entries()),
                )
            )
        self._saved = time.monotonic()
        self._save_seconds = self._saved - began
