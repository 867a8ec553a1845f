"""Monitors, decorated functions and canaries in pickles: the configuration travels, counts stay where they are."""

from __future__ import annotations

import copy
import functools
import io
import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from contextvars import ContextVar

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

import driftline as dl
from driftline.testing import ManualClock

ROW = {"age": 41.0, "amount": 20.0, "channel": "web", "member": True}


@pytest.fixture(autouse=True)
def by_value():
    """Let cloudpickle store what this module defines as it stores what ``__main__`` and a notebook do."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def make(reference):
    """Return a function that makes monitors without providers, which are shut down after the test."""
    monitors = []

    def monitor(name="m", **options):
        monitors.append(dl.Monitor(name, **{"reference": reference, "enabled": True, "synchronous": True, **options}))
        return monitors[-1]

    yield monitor
    for each in monitors:
        each.shutdown()


@pytest.fixture
def elsewhere(tmp_path):
    """Return a function that runs code in a new process, where *arrived* is a list of the unpickled objects."""

    def run(code, *data, **environment):
        for number, each in enumerate(data):
            (tmp_path / f"{number}.pickle").write_bytes(each)
        load = (
            "import pickle\n"
            "from pathlib import Path\n"
            f"arrived = [pickle.loads(Path(f'{{n}}.pickle').read_bytes()) for n in range({len(data)})]\n"
            f"ROW = {ROW!r}\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", load + code],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


class Net:
    """A model that is called."""

    def __call__(self, features):
        return 0.5


def byte_score(result):
    """A user function that has a name in its module."""
    return float(result)


def test_a_pickle_arrives_as_the_same_monitor_in_its_process(make):
    """Its counts go on: there is one monitor of this name, not two that export the same series."""
    monitor = make()
    monitor.observe(ROW, 0.5)
    for arrived in (pickle.loads(pickle.dumps(monitor)), copy.copy(monitor), copy.deepcopy({"a": monitor})["a"]):
        assert arrived is monitor
    assert [pickle.loads(pickle.dumps(monitor, protocol)) for protocol in range(2, 6)] == [monitor] * 4
    assert pickle.loads(pickle.dumps(monitor.observe)).__self__ is monitor


@pytest.mark.slow
def test_it_starts_empty_elsewhere_with_the_same_configuration(make, elsewhere, reference):
    """One monitor in each process, however many pickles of it arrive."""
    monitor = make("model", version="3", variant="blue", window=dl.Window(rows=70), export_labels=True)
    for _ in range(5):
        monitor.observe(ROW, 0.5)
    data = pickle.dumps({"a": monitor, "b": monitor})
    shown = elsewhere(
        "(first, second) = arrived\n"
        "m = first['a']\n"
        "print(m is first['b'] is second['a'], m.name, m.version, m.variant, m.snapshot().rows, m.reference.rows)\n"
        "predict = m.instrument(lambda features: 0.5)\n"
        "[predict(ROW) for _ in range(7)]\n"
        "print(second['b'].snapshot().rows, pickle.loads(pickle.dumps(m)) is m)\n",
        data,
        data,
    )
    assert shown == ["True", "model", "3", "blue", "0", str(reference.rows), "7", "True"]
    assert monitor.snapshot().rows == 5


@pytest.mark.slow
def test_decorated_functions_of_all_kinds_travel_by_value(make, elsewhere):
    """Cloudpickle stores what has no name in a module, as for Ray and joblib. All count in one monitor."""
    monitor = make()
    instrument = monitor.instrument

    @instrument
    def plain(features):
        return 0.5

    @instrument
    def several(features, other=None):
        return 0.5

    @instrument(features=lambda i, row: row, output=lambda r: r, prediction_id=lambda i, row: i, key="i")
    def full(i, row):
        return 0.5

    @instrument
    def by_name(age, amount, channel, member):
        return 0.5

    @instrument
    async def awaited(features):
        return 0.5

    @instrument(output=lambda r: r)
    async def awaited_output(features):
        return 0.5

    @instrument
    def stream(features):
        yield 0.4
        yield 0.5

    @instrument
    async def async_stream(features):
        yield 0.5

    @instrument
    def blocks(features):
        with monitor.prediction(features) as call:
            call.output = plain(features)
            yield call.output

    class Service:
        @instrument
        def predict(self, features):
            return plain(features)  # one prediction with the inner one

        @staticmethod
        @instrument
        def static(features):
            return 0.5

    functions = [plain, several, full, by_name, awaited, awaited_output, stream, async_stream, blocks, Service]
    shown = elsewhere(
        "import asyncio\n"
        "plain, several, full, by_name, awaited, output, stream, async_stream, blocks, Service = arrived[0]\n"
        "async def main():\n"
        "    await awaited(ROW); await output(ROW)\n"
        "    assert [v async for v in async_stream(ROW)] == [0.5]\n"
        "for turn in range(3):\n"
        "    assert plain(ROW) == several(ROW, other=1) == full('a', ROW) == by_name(**ROW) == 0.5\n"
        "    assert [*stream(ROW)] == [0.4, 0.5] and [*blocks(ROW)] == [0.5]\n"
        "    assert Service().predict(ROW) == Service.static(ROW) == 0.5\n"
        "    asyncio.run(main())\n"
        "    print(arrived[1].snapshot().rows)\n"
        "print(plain.__name__, plain.__wrapped__.__name__)\n",
        cloudpickle.dumps(functions),
        cloudpickle.dumps(monitor),
    )
    assert shown == ["11", "22", "33", "plain", "plain"]
    assert monitor.snapshot().rows == 0


@pytest.mark.slow
def test_callable_objects_travel(make, elsewhere):
    """Pickle and cloudpickle store an instrumented object with its attributes."""
    monitor = make()
    net = monitor.instrument(functools.partial(Net()))
    net.weights = 7
    shown = elsewhere(
        "net, m = arrived[0]\nassert net(ROW) == 0.5\nprint(type(net).__name__, net.weights, m.snapshot().rows)\n",
        cloudpickle.dumps((net, monitor)),
    )
    assert shown == ["partial", "7", "1"]
    net = monitor.instrument(Net(), output=byte_score)
    assert pickle.loads(pickle.dumps(net))(ROW) == 0.5
    assert monitor.snapshot().rows == 1


class Estimator(BaseEstimator):
    """A model of scikit-learn that holds a monitor."""

    def __init__(self, monitor=None):
        self.monitor = monitor


def test_models_that_hold_a_monitor_are_dumped_cloned_and_copied(make):
    """joblib.dump, `clone` and `deepcopy` work as without a monitor."""
    monitor = make()
    model = Estimator(monitor)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    assert joblib.load(file).monitor is clone(model).monitor is copy.deepcopy(model).monitor is monitor


@pytest.mark.parametrize(
    "dumps", [pickle.dumps, lambda value: joblib.dump(value, io.BytesIO())], ids=["pickle", "joblib"]
)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("correct", lambda prediction, actual: True),
        ("cluster", functools.partial(lambda row: row["channel"])),
        ("distances", ["psi", lambda reference, current: 0.0]),
        ("wall_clock", lambda: 0.0),
    ],
)
def test_a_function_without_a_name_is_refused_by_its_argument(make, dumps, argument, value):
    """The error names the argument and says what stores it."""
    monitor = make(**{argument: value})
    with pytest.raises(dl.ConfigurationError, match=rf"^{argument}=.*lambda.* cloudpickle stores lambdas"):
        dumps(monitor)
    assert cloudpickle.loads(cloudpickle.dumps(monitor)) is monitor
    net = make().instrument(Net(), features=lambda row: row)
    with pytest.raises(dl.ConfigurationError, match=r"^features=.*cloudpickle"):
        dumps(net)


def test_a_provider_is_refused(make, telemetry):
    """It cannot travel, and nothing else may take its place without notice. Copies stay in the process."""
    for name, provider in telemetry.providers.items():
        monitor = make(**{name: provider})
        for dumps in (pickle.dumps, cloudpickle.dumps):
            with pytest.raises(dl.ConfigurationError, match=f"^{name}=.*expected None in a monitor that is pickled"):
                dumps(monitor)
        assert copy.deepcopy(monitor) is monitor


class NamedProvider:
    """A provider that knows how to travel."""

    def get_logger(self, *_, **__):
        """Return None, because no event is emitted."""

    def __reduce__(self):
        return NamedProvider, ()


def test_a_provider_with_a_pickle_of_its_class_travels(make):
    """The class of the user decides."""
    monitor = make(logger_provider=NamedProvider())
    assert pickle.loads(pickle.dumps(monitor)) is monitor


def test_a_closed_monitor_arrives_as_a_new_one(make):
    """A model that is loaded after `shutdown` is monitored again."""
    monitor = make()
    monitor.observe(ROW, 0.5)
    data = pickle.dumps(monitor)
    monitor.shutdown()
    arrived = pickle.loads(data)
    assert arrived is not monitor
    assert arrived.snapshot().rows == 0
    assert pickle.loads(data) is arrived
    arrived.shutdown()


@pytest.mark.slow
def test_the_reference_at_work_and_unfed_detectors_travel(make, elsewhere):
    """A reference that was learned or replaced goes along; a detector arrives as it was passed."""

    class Detector:
        drift_detected = False
        seen = 0

        def update(self, x):
            self.seen += 1
            self.drift_detected = self.seen > 3

    monitor = make(reference=dl.Reference.learn(rows=100), detectors={"age": Detector()})
    random = np.random.default_rng(0)
    monitor.observe({"age": random.normal(size=150)}, random.random(150))
    monitor.flush()
    assert monitor.reference is not None
    shown = elsewhere(
        "m = arrived[0]\nprint(m.reference.rows, m.snapshot().rows)\n"
        "m.observe({'age': [1.0, 2.0]}, [0.1, 0.2]); m.flush()\nprint(m.status()['age (Detector)'].state)\n",
        cloudpickle.dumps(monitor),
    )
    assert shown == [str(monitor.reference.rows), "0", "stable"]


@pytest.mark.slow
def test_the_environment_of_the_other_process_decides_whether_it_is_on(reference, elsewhere):
    """`enabled=None` travels as that."""
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    data = pickle.dumps(monitor)
    code = "print(arrived[0].enabled)"
    assert elsewhere(code, data, DRIFTLINE_ENABLED="false") == ["False"]
    assert elsewhere(code, data, DRIFTLINE_ENABLED="true", OTEL_SDK_DISABLED="") == ["True"]
    monitor.shutdown()


@pytest.mark.slow
def test_many_arrivals_are_one_monitor_also_in_threads(make, elsewhere):
    """Series, threads and memory stay flat with a thousand loads of a model."""
    monitor = make()
    shown = elsewhere(
        "import gc, threading\nfrom driftline import Monitor\n"
        "data = Path('0.pickle').read_bytes()\n"
        "del arrived\n"
        "seen = []\n"
        "def load():\n"
        "    for _ in range(125):\n"
        "        m = pickle.loads(data); m.observe(ROW, 0.5); seen.append(id(m._calls))\n"
        "threads = [threading.Thread(target=load) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; gc.collect()\n"
        "print(len(set(seen)), pickle.loads(data).snapshot().rows)\n",
        pickle.dumps(monitor),
    )
    assert shown == ["1", "1000"]


def test_arrivals_of_many_monitors_do_not_pile_up(reference):
    """Sixteen stay alive without a user."""
    monitors = [dl.Monitor(f"m{number}", reference=reference, synchronous=True) for number in range(40)]
    data = [pickle.dumps(monitor) for monitor in monitors]
    for monitor in monitors:
        monitor.shutdown()
    alive = Counter()
    from driftline._runtime.arrivals import KEPT, _kept  # noqa: PLC0415 - the private list is what is bounded

    for each in data:
        alive[pickle.loads(each).name] += 1
    assert len(alive) == 40
    assert len(_kept) == KEPT
    _kept.clear()


class Special(dl.Monitor):
    """A monitor with an argument and an attribute of its class."""

    def __init__(self, where):
        super().__init__("m", reference=dl.Reference.learn(rows=100), synchronous=True)
        self.where = where


@pytest.mark.slow
def test_a_derived_class_keeps_its_attributes(elsewhere):
    """`__init__` does not run again."""
    data = cloudpickle.dumps(Special("here"))
    shown = elsewhere("m = arrived[0]\nprint(type(m).__name__, m.where, m.name, m.observe({'a': 1.0}, 1))", data)
    assert shown == ["Special", "here", "m", "None"]


def test_other_context_variables_still_have_no_pickle(make):
    """The reducer is for variables of monitors alone."""
    make()
    with pytest.raises(TypeError, match=r"cannot pickle '_contextvars\.ContextVar' object"):
        pickle.dumps(ContextVar("foreign"))


@pytest.mark.slow
def test_the_child_of_a_fork_has_the_monitor_already(make, tmp_path):
    """A task that was pickled after the fork arrives as the monitor that the child has inherited, which is empty."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    monitor = make()
    monitor.observe(ROW, 0.5)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            arrived = pickle.loads(os.read(read, 1_000_000))
            os._exit(0 if arrived is monitor and arrived.snapshot().rows == 0 else 1)
        finally:
            os._exit(2)
    data = pickle.dumps(monitor)
    assert len(data) < 60_000, "more than a pipe holds"
    os.write(write, data)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(read)
    os.close(write)


@pytest.mark.slow
def test_a_fork_while_a_monitor_arrives_does_not_hang_the_child(make):
    """The lock of arrivals is new in the child."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    from driftline._runtime.arrivals import _lock  # noqa: PLC0415 - held by another thread during the fork

    monitor = make()
    data = pickle.dumps(monitor)
    held, done = threading.Event(), threading.Event()

    def hold():
        with _lock():
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if pickle.loads(data) is monitor else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    thread.join()


@pytest.mark.slow
def test_canaries_travel_with_their_monitors(make, elsewhere):
    """The share goes along, and so does a function that refers to the canary. Evidence is empty."""
    baseline, candidate = make(version="1"), make(version="2")
    holder = {}

    def stop(previous, verdict):
        holder["canary"].share = 0.0

    canary = holder["canary"] = dl.Canary(baseline, candidate, share=0.5, on_verdict=stop)
    serve = canary.split(
        baseline.instrument(lambda features: 0.5), candidate.instrument(lambda features: 0.5), key=lambda row: "k"
    )
    canary.share = 1.0
    serve(ROW)
    assert copy.deepcopy(canary) is pickle.loads(cloudpickle.dumps(canary)) is canary
    with pytest.raises(dl.ConfigurationError, match=r"^on_verdict=.*cloudpickle"):
        pickle.dumps(canary)
    shown = elsewhere(
        "serve, canary, baseline, candidate = arrived[0]\n"
        "[serve(ROW) for _ in range(40)]\n"
        "print(canary.share, baseline.snapshot().rows, candidate.snapshot().rows, canary.verdict().state)\n"
        "canary.share = 0.0\nserve(ROW)\nprint(baseline.snapshot().rows, arrived[1] is canary)\n",
        cloudpickle.dumps((serve, canary, baseline, candidate)),
        cloudpickle.dumps(canary),
    )
    assert shown == ["1.0", "0", "40", "inconclusive", "1", "True"]
    canary.close()
    assert pickle.loads(cloudpickle.dumps(canary)) is not canary


@pytest.mark.slow
def test_joblib_runs_decorated_functions_in_processes(make):
    """Its workers load the function with each task."""
    monitor = make()

    @monitor.instrument
    def predict(features):
        return monitor.name

    assert joblib.Parallel(n_jobs=2)(joblib.delayed(predict)(ROW) for _ in range(6)) == ["m"] * 6
    assert monitor.snapshot().rows == 0


def test_a_pickle_in_the_middle_of_calls_loses_none(make):
    """Threads predict while another one pickles and predicts with what arrives."""
    monitor = make(window=dl.Window(rows=10_000_000))

    @monitor.instrument
    def predict(features):
        return 0.5

    stop, calls = threading.Event(), []

    def serve():
        while not stop.is_set():
            predict(ROW)
            calls.append(None)

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        assert pickle.loads(cloudpickle.dumps(predict))(ROW) == 0.5
        calls.append(None)
    stop.set()
    for thread in threads:
        thread.join()
    assert monitor.snapshot().rows == len(calls) > 50


def test_a_clock_travels(make):
    """Also one of the tests."""
    clock = ManualClock()
    monitor = make(clock=clock)
    assert pickle.loads(pickle.dumps(monitor)) is monitor
