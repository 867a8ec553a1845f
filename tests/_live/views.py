"""Views for the tests of drawings, hostile ones among them."""

from __future__ import annotations

from driftline._live.values import (
    CanaryView,
    CriterionView,
    Event,
    FeatureView,
    Latency,
    LiveView,
    ModelKey,
    ModelView,
    Performance,
    Problem,
)

HOSTILE = (
    "<script>document.title='broken'</script>",
    "\u202egnirts desrever",
    "שלום",
    "x" * 10_000,
    "",
    "a\x1b[31mred\x00\nline",
    '"><img src=http://127.0.0.1:9/x onerror=alert(1)>',
    "[bold red]markup[/]",
)
"""Names that no drawing may be harmed by."""

KEY = ModelKey("flight-delay", "1", "baseline")
REASON = "age: location up, median 30 to 40; PSI 0.3 (0.29 corrected), p 1e-9 (level 0.01), n = 5000"


def drifting(name="age", effect=0.29):
    """A feature that drifts, with the event of its change."""
    event = Event(1_000.0, "drift", KEY, name, "drifting", "stable", REASON, effect, 1e-9)
    course = tuple((float(second), second / 100) for second in range(30))
    return FeatureView(
        name, "drifting", {"drifting": 1}, "psi", 0.3, "5000 rows", event, course, (0.5, 0.5), (0.1, 0.9)
    )


def view(*features, **changes):
    """A view with everything in it."""
    model = ModelView(
        KEY,
        served=12_345,
        failed={"ValueError": 5},
        rate=1_234.0,
        latency=Latency(100, 0.0012, 0.25),
        accuracy=0.903,
        estimated=0.896,
        outcomes={"correct": 900, "incorrect": 100},
        performance=(Performance("accuracy", 0.903, 0.89, 0.91), Performance("auc", 0.84, 0.81, 0.86)),
        features=features or (drifting(), FeatureView("height", "stable", {"stable": 1}, score=0.4)),
        retraining={"drift": 1},
        queue={"requested": 1},
        problems=(Problem("errors", "capture", 3, "compare the features with the reference"),),
        processes=1,
    )
    criteria = (CriterionView("error_rate", 0.01, -0.01, 0.03, 0.02), CriterionView("accuracy", None, None, None, 0.02))
    reason = "canary healthy on 3,113 predictions: error rate 1% against 1%; wrong so far 9% against 9%"
    events = (
        Event(900.0, "canary", KEY, "", "promote", "inconclusive", reason),
        Event(1_000.0, "drift", KEY, "age", "drifting", "stable", REASON, 0.29, 1e-9),
        Event(1_100.0, "retraining", KEY, "drift", reason="age drifts"),
    )
    values = {
        "title": "driftline live",
        "source": "OTLP/HTTP at 127.0.0.1:4318",
        "time": 1_200.0,
        "models": (model,),
        "canaries": (CanaryView("flight-delay", "", "promote", reason, criteria),),
        "events": events,
    }
    return LiveView(**{**values, **changes})


def hostile_view():
    """Every name is hostile, and there are 500 features."""
    features = tuple(
        FeatureView(
            f"{HOSTILE[index % len(HOSTILE)]}{index}",
            ("drifting", "stable", "insufficient_data")[index % 3],
            changed=Event(1.0, "drift", KEY, reason=HOSTILE[index % len(HOSTILE)]),
            distance=HOSTILE[index % len(HOSTILE)],
            score=float("nan") if index % 5 == 0 else float(index),
        )
        for index in range(500)
    )
    models = tuple(
        ModelView(
            ModelKey(name, name, name),
            failed={name: 3},
            outcomes={name: 3},
            performance=(Performance(name, float("nan"), None, None),),
            features=features if index == 0 else (),
            retraining={name: 1},
            queue={name: 1},
            problems=(Problem("errors", name, 1, name),),
        )
        for index, name in enumerate(HOSTILE)
    )
    canaries = tuple(
        CanaryView(name, name, "rollback", name, (CriterionView(name, 1e300, None, 2.0, 0.0),)) for name in HOSTILE
    )
    kinds = ("drift", "canary", "retraining")
    events = tuple(
        Event(1e300, kinds[index % 3], ModelKey(name, name, name), name, name, name, name)
        for index, name in enumerate(HOSTILE * 3)
    )
    return LiveView(HOSTILE[0], HOSTILE[6], 1e300, models, canaries, events, trouble=HOSTILE[0], hint=HOSTILE[6])
