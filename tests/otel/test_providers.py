"""Any object with get_meter is a provider, and the metrics of every monitor leave through its own, however late."""

from __future__ import annotations

import dataclasses
import gc
import logging
import subprocess
import sys
import weakref

import pytest
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.metrics import _internal as api
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl
from driftline.otel import _stand_ins

STAND_IN = getattr(api, _stand_ins.PRIVATE_PARTS[0])
SERVED = "ml.predictions.served"
GAUGES = {"ml.feature.drift.status", "ml.model.accuracy.estimated"}


@dataclasses.dataclass
class Unhashable(MeterProvider):
    """A vendor's stand-in, as logfire's: a dataclass has equality and no hash."""

    inner: MeterProvider

    def get_meter(self, *args, **kwargs):
        """The meter of the provider within."""
        return self.inner.get_meter(*args, **kwargs)


class Slotted:
    """A provider without weak references, and not of the API's class."""

    __slots__ = ("inner",)

    def __init__(self, inner):
        self.inner = inner

    def get_meter(self, *args, **kwargs):
        """The meter of the provider within."""
        return self.inner.get_meter(*args, **kwargs)


class NotLoaded(Slotted):
    """A lazy provider that raises when it is asked for its class."""

    __slots__ = ()

    @property
    def __class__(self):
        raise LookupError


class EqualToAll(Slotted):
    """A provider that is equal to every other one."""

    __slots__ = ()

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1


class Forgetful:
    """A provider whose meters are new objects each time, and hold their instruments weakly, as logfire's do."""

    def __init__(self, inner):
        self.inner = inner
        self.meters = weakref.WeakSet()

    def get_meter(self, *args):
        """A new meter."""
        self.meters.add(meter := ForgetfulMeter(self.inner.get_meter(*args)))
        return meter


class ForgetfulMeter:
    """Passes on what is created, and can create it again at another provider."""

    def __init__(self, meter):
        self.inner, self.instruments = meter, weakref.WeakSet()

    def __getattr__(self, name):
        def create(*args, **kwargs):
            self.instruments.add(created := ForgetfulInstrument(name, args, kwargs))
            created.create(self.inner)
            return created

        return create


class ForgetfulInstrument:
    """An instrument that can be created again."""

    def __init__(self, name, args, kwargs):
        self.how = name, args, kwargs

    def create(self, meter):
        """Create the instrument."""
        name, args, kwargs = self.how
        self.created = getattr(meter, name)(*args, **kwargs)

    def record(self, *args, **kwargs):
        """Record a duration."""
        self.created.record(*args, **kwargs)


def test_the_api_has_the_private_parts_that_late_providers_need():
    message = "the API has no such part: adapt driftline.otel._stand_ins, or bound opentelemetry-api in pyproject.toml"
    assert hasattr(STAND_IN(), _stand_ins.PRIVATE_PARTS[1]), message


@pytest.mark.parametrize("wrap", [Unhashable, Slotted, EqualToAll, Forgetful, NotLoaded])
def test_any_object_with_get_meter_is_a_provider(make, wrap, new_setup):
    monitor, use = make
    first, second = new_setup(), new_setup()
    providers = wrap(first.provider), wrap(second.provider)
    use(monitor("A", providers[0]), monitor("B", providers[1]), monitor("C", providers[0]))
    assert [each.served() for each in (first, second)] == [{"A": 10, "C": 10}, {"B": 10}]
    assert first.names("C") > GAUGES


@pytest.mark.parametrize("wrap", [Unhashable, Slotted, EqualToAll, Forgetful])
def test_any_object_may_be_the_global_provider(make, wrap, forget_global, new_setup):
    monitor, use = make
    setup = new_setup()
    early = monitor("early")
    api.set_meter_provider(wrap(setup.provider))
    use(early, monitor("late"))
    assert setup.served() == {"early": 10, "late": 10}


@pytest.mark.parametrize("wrap", [Unhashable, Slotted, Forgetful])
def test_two_objects_around_one_provider_lose_nothing(make, wrap, caplog, new_setup):
    monitor, use = make
    setup = new_setup()
    use(monitor("A", setup.provider), monitor("B", wrap(setup.provider)), monitor("C", wrap(setup.provider)))
    assert setup.served() == {"A": 10, "B": 10, "C": 10}
    assert setup.names("C") > GAUGES


def test_meters_that_hold_instruments_weakly_can_create_them_again(make, new_setup):
    monitor, use = make
    first, second = new_setup(), new_setup()
    provider = Forgetful(first.provider)
    use(watched := monitor("A", provider))
    gc.collect()
    (meter,) = provider.meters
    for instrument in meter.instruments:
        instrument.create(second.provider.get_meter("driftline"))
    use(watched)
    assert second.served() == {"A": 20}


@pytest.mark.parametrize("first", ["A", "B"])
@pytest.mark.parametrize("wrap", [lambda provider: provider, Unhashable])
def test_explicit_then_global(make, forget_global, first, wrap, new_setup):
    monitor, use = make
    setup = new_setup()
    explicit = {"A": None, "B": setup.provider}
    monitors = [monitor(name, explicit[name]) for name in sorted(explicit, key=lambda name: name != first)]
    api.set_meter_provider(wrap(setup.provider))
    monitors.append(monitor("C"))
    use(*monitors)
    assert setup.served() == {"A": 10, "B": 10, "C": 10}
    assert all(setup.names(model) > GAUGES for model in "ABC")


def test_explicit_then_global_without_another_monitor_or_a_prediction_of_the_first(make, forget_global, new_setup):
    monitor, use = make
    setup = new_setup()
    early, explicit = monitor("A"), monitor("B", setup.provider)
    api.set_meter_provider(setup.provider)
    use(explicit)
    assert setup.served() == {"B": 10}
    early.observe({"age": [1.0]}, [0.5])
    early.flush()
    assert setup.served() == {"A": 1, "B": 10}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_stand_in_that_was_kept_is_the_provider_that_it_passes_on_to(make, forget_global, when, new_setup):
    monitor, use = make
    setup, kept = new_setup(), api.get_meter_provider()
    early = [monitor("early", kept)] if when == "before" else []
    api.set_meter_provider(setup.provider)
    use(*early, monitor("A"), monitor("B", kept), monitor("C", setup.provider))
    assert setup.served() == {each.name: 10 for each in early} | {"A": 10, "B": 10, "C": 10}


def test_reset_between_tests(make, forget_global, new_setup):
    monitor, use = make
    application = monitor("application")
    first = new_setup()
    api.set_meter_provider(first.provider)
    use(application)
    forget_global()
    second = new_setup()
    tested = monitor("tested")
    api.set_meter_provider(second.provider)
    use(tested)
    assert [first.served(), second.served()] == [{"application": 10}, {"tested": 10}]


def test_reset_before_the_first_collection(make, forget_global, new_setup):
    monitor, use = make
    application = monitor("application")
    first, second = new_setup(), new_setup()
    api.set_meter_provider(first.provider)
    forget_global()
    api.set_meter_provider(second.provider)
    use(application, monitor("tested"))
    assert [first.served(), second.served()] == [{"application": 10}, {"tested": 10}]


def test_shut_down_before_the_provider_is_set(make, forget_global, new_setup):
    monitor, use = make
    setup = new_setup()
    use(job := monitor("job"))
    job.shutdown()
    api.set_meter_provider(setup.provider)
    assert {SERVED, *GAUGES} <= setup.names("job")
    assert setup.names("job") == {SERVED}


@pytest.mark.parametrize("wrap", [lambda provider: provider, Unhashable, Slotted])
def test_providers_that_were_shut_down_are_freed(reference, row, wrap, new_setup):
    setup = new_setup()
    gone = weakref.ref(setup.provider)
    monitor = dl.Monitor("A", reference=reference, meter_provider=wrap(setup.provider))
    monitor.observe(row, 0.5)
    monitor.shutdown()
    assert SERVED in setup.names()
    setup.provider.shutdown()
    del setup, monitor
    gc.collect()
    assert gone() is None


def test_a_provider_without_instruments_is_no_fault(make, caplog):
    monitor, use = make
    use(monitor("A", NoOpMeterProvider()))
    assert "already" not in caplog.text


class Later:
    """A stand-in that a team has written: it creates instruments once there is a provider."""

    def __init__(self):
        self.provider, self.waiting = None, []

    def get_meter(self, *args):
        """A meter that waits."""
        return LaterMeter(self, args)

    def resolve(self, provider):
        """Create what was asked for before."""
        self.provider = provider
        for create in self.waiting:
            create()


class LaterMeter:
    """Creates instruments when its provider is there."""

    def __init__(self, owner, args):
        self.owner, self.args = owner, args

    def __getattr__(self, name):
        def create(*args, **kwargs):
            handle = ForgetfulInstrument(name, args, kwargs)
            self.owner.waiting.append(lambda: handle.create(self.owner.provider.get_meter(*self.args)))
            handle.record = lambda *_: None
            return handle

        return create


def test_a_stand_in_of_another_kind_is_exported_once(make, caplog, new_setup):
    monitor, use = make
    setup, provider = new_setup(), Later()
    use(watched := monitor("A", provider))
    provider.resolve(setup.provider)
    use(watched)
    assert setup.scopes() == [{}]
    assert setup.served() == {"A": 20}
    assert "already" not in caplog.text


@pytest.mark.slow
def test_a_second_copy_of_driftline_is_exported(make, caplog):
    """Modules that are removed from sys.modules and imported again know nothing of the instruments of before."""
    program = """
import logging, sys
logging.basicConfig(level="WARNING")
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
def serve(name):
    import driftline as dl
    monitor = dl.Monitor(name, reference=dl.Reference.fit({"x": [1.0, 2.0, 3.0]}))
    predict = monitor.instrument(lambda features: 0.5)
    for _ in range(300):
        predict({"x": 2.0})
    monitor.flush()
    return monitor
kept = [serve("before")]
for name in [name for name in sys.modules if name.partition(".")[0] == "driftline"]:
    del sys.modules[name]
kept.append(serve("after"))
for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics:
    for metric in scope.metrics:
        if metric.name == "ml.predictions.served":
            for point in metric.data.data_points:
                print(list(scope.scope.attributes or {}), point.attributes["ml.model.name"], point.value)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["[] before 300", "['driftline.copy'] after 300"]
    assert "has driftline's instruments already" in ended.stderr


def test_every_reader_exports_the_last_states_once(make, new_setup):
    monitor, use = make
    setups = [new_setup() for _ in range(4)]
    for setup in setups:
        setup.reader = InMemoryMetricReader()
    provider = SdkMeterProvider([setup.reader for setup in setups], shutdown_on_exit=False)
    use(job := monitor("job", provider))
    job.shutdown()
    assert all(setup.names() > GAUGES for setup in setups)
    assert not any(setup.names() & GAUGES for setup in setups)


def test_the_last_states_of_a_later_monitor_of_the_same_name_are_exported_too(make, new_setup):
    monitor, use = make
    setup = new_setup()
    for expected in (10, 20):
        use(job := monitor("job", setup.provider))
        job.shutdown()
        points = setup.points()
        assert {name for name, _, _ in points} > GAUGES
        assert [value for name, _, value in points if name == SERVED] == [expected]
    assert not setup.names() & GAUGES


def test_no_warning_for_one_provider(make, caplog, new_setup):
    monitor, use = make
    setup = new_setup()
    with caplog.at_level(logging.INFO):
        use(monitor("A", setup.provider), monitor("B", setup.provider))
    assert setup.scopes() == [{}]
    assert "already" not in caplog.text
