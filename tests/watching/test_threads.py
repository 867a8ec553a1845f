"""Watched objects under threads, joblib, asyncio and fork, and when they are fitted again meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, SGDClassifier

import driftline as dl
from driftline.watching import monitor_of, unwatch


def rows(model):
    return monitor_of(model).snapshot().rows


def of_chunk(model, chunk):
    return model.predict_proba(chunk)


class Chunked(ClassifierMixin, BaseEstimator):
    """A model that predicts chunks in threads of joblib, by its own ``predict_proba``."""

    classes_ = np.array([0, 1])

    def __init__(self, form="bound"):
        self.form = form

    def predict_proba(self, frame):
        return np.tile([0.25, 0.75], (len(frame), 1))

    def predict(self, frame):
        chunks = np.array_split(np.asarray(frame), 8)
        call = of_chunk if self.form == "function" else lambda _, chunk: self.predict_proba(chunk)
        if self.form == "bound":
            tasks = [joblib.delayed(self.predict_proba)(chunk) for chunk in chunks]
        else:
            tasks = [joblib.delayed(call)(self, chunk) for chunk in chunks]
        parts = joblib.Parallel(n_jobs=2, prefer="threads")(tasks)
        return self.classes_[np.concatenate(parts).argmax(axis=1)]


@pytest.mark.parametrize("form", ["bound", "function", "lambda"])
def test_calls_in_threads_of_joblib_belong_to_the_call_that_waits_for_them(watch, training, form):
    model = watch(Chunked(form), on_error="raise")
    for _ in range(5):
        assert model.predict(training[0]).tolist() == [1] * 600
    assert rows(model) == 5 * 600


def test_calls_from_threads_of_joblib_are_counted(classifier, watch, training):
    watch(classifier, on_error="raise")
    tasks = [joblib.delayed(of_chunk)(classifier, training[0][:10]) for _ in range(40)]
    joblib.Parallel(n_jobs=4, prefer="threads")(tasks)
    assert rows(classifier) == 400


def test_each_row_is_counted_once_under_threads(classifier, watch, training):
    watch(classifier, synchronous=False, on_error="raise")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: classifier.predict_proba(training[0][:7]), range(400)))
    assert rows(classifier) == 2800


def test_tasks_of_asyncio_are_counted_and_a_late_task_is_no_part_of_the_call(watch, training):
    class Starts:
        def predict(self, frame):
            loop = asyncio.get_running_loop()
            if len(frame) == 2:
                self.task = loop.create_task(self.later(frame))
            return np.zeros(len(frame))

        async def later(self, frame):
            await asyncio.sleep(0)
            return self.predict(frame[:1])

    model = watch(Starts(), on_error="raise")

    async def serve():
        await asyncio.gather(*[asyncio.to_thread(np.zeros, 1) for _ in range(2)])
        model.predict(training[0][:2])
        await model.task

    asyncio.run(serve())
    assert rows(model) == 3


def test_threads_of_asyncio_are_counted(classifier, watch, training):
    watch(classifier, on_error="raise")

    async def serve():
        await asyncio.gather(*[asyncio.to_thread(classifier.predict, training[0][:5]) for _ in range(20)])

    asyncio.run(serve())
    assert rows(classifier) == 100


def test_a_refit_while_serving(watch, training):
    frame, target = training[0].to_numpy(), training[1]
    model = SGDClassifier(loss="log_loss", warm_start=True, random_state=0).fit(frame, target)
    watch(model, on_error="raise")
    stop = threading.Event()

    def refit():
        while not stop.is_set():
            model.fit(frame, target)
            model.partial_fit(frame, target)
            model.score(frame, target)

    thread = threading.Thread(target=refit)
    thread.start()
    try:
        for _ in range(100):
            try:
                model.predict_proba(frame[:3])
            except Exception as error:  # noqa: PERF203 - an older scikit-learn fails in the middle of a fit
                if "sklearn" not in traceback.extract_tb(error.__traceback__)[-1].filename:
                    raise
    finally:
        stop.set()
        thread.join()
    assert rows(model) == 300


def test_watching_and_unwatching_while_serving(classifier, watch, training):
    expected = classifier.predict(training[0][:5])
    failures, stop = [], threading.Event()

    def serve():
        while not stop.is_set():
            try:
                np.testing.assert_array_equal(classifier.predict(training[0][:5]), expected)
            except BaseException as error:  # noqa: BLE001, PERF203 - whatever it is, it is a failure
                failures.append(error)
                return

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            watch(classifier)
            unwatch(classifier)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert type(classifier) is LogisticRegression


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_counts_its_own_calls(classifier, watch, training):
    watch(classifier, on_error="raise")
    classifier.predict(training[0][:7])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            classifier.predict(training[0][:5])
            os.write(writing, str(rows(classifier)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"5"
    assert rows(classifier) == 7
    for end in (reading, writing):
        os.close(end)


@pytest.mark.slow
def test_many_loads_leave_nothing_behind(classifier, training, reference, telemetry):
    pickled = pickle.dumps(classifier)

    def load():
        model = pickle.loads(pickled)  # noqa: S301 - own bytes
        dl.watch(model, name="m", reference=reference, meter_provider=telemetry.meter_provider)
        model.predict_proba(training[0][:1])

    for _ in range(10):
        load()
    gc.collect()
    telemetry.value("ml.predictions.served")
    threads, objects = threading.active_count(), len(gc.get_objects())
    for _ in range(150):
        load()
    served = telemetry.value("ml.predictions.served")
    gc.collect()
    assert served == 160
    assert threading.active_count() <= threads + 2
    assert len(gc.get_objects()) < objects + 1_500  # fewer than ten for each load
    assert len([name for name, *_ in telemetry.points() if name == "ml.predictions.served"]) == 1
