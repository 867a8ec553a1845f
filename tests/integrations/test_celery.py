"""Celery with real workers and a broker of files: what the tasks served has arrived after a warm shutdown."""

from __future__ import annotations

import sys

import pytest
from libraries import require
from servers import row, running

require("celery")

TASKS = 120


@pytest.fixture
def application(environment, tmp_path, monkeypatch):
    """Return the application in this process, which sends tasks, and the environment of a worker."""
    for name in ("queue", "results"):
        (tmp_path / name).mkdir()
    environment["SERVICE_FOLDER"] = str(tmp_path)
    for name in ("SERVICE_FOLDER", "SERVICE_REFERENCE"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.setenv("SERVICE_SETUP", "none")
    monkeypatch.syspath_prepend(environment["PYTHONPATH"])
    import celery_app  # noqa: PLC0415 - it needs its environment

    yield celery_app
    celery_app.monitor.shutdown()
    celery_app.app.close()
    del sys.modules["celery_app"]


def worker(pool, *arguments):
    """Return the command of a worker."""
    celery = (sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--loglevel=INFO", "--without-mingle")
    return [*celery, f"--pool={pool}", "--concurrency=2", *arguments]


@pytest.mark.system
@pytest.mark.parametrize(
    ("pool", "arguments", "setup"),
    [
        ("prefork", (), "import"),
        ("prefork", (), "child"),
        ("prefork", ("--max-tasks-per-child=7",), "import"),
        ("solo", (), "import"),
        ("threads", (), "import"),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value) or "plain",
)
def test_every_task_has_arrived_after_the_stop(receiver, environment, application, tmp_path, pool, arguments, setup):
    """The export interval is an hour: nothing but the flush at the end of each process sends."""
    tasks = [application.predict.delay(row(turn)) for turn in range(TASKS)]
    failing = application.fail.delay(row(0))
    with running(
        worker(pool, *arguments),
        {**environment, "SERVICE_SETUP": setup},
        tmp_path / "log",
        ready=lambda _: all(task.ready() for task in (*tasks, failing)),
    ) as server:
        assert [task.get() for task in tasks] == [turn % 100 / 100.0 for turn in range(TASKS)]
        if "max-tasks" not in "".join(arguments):
            assert receiver.served() == 0
        server.stop()
    log = (tmp_path / "log").read_text()
    assert server.process.returncode == 0, log
    assert receiver.served() == TASKS, log
    assert receiver.failed() == {"LookupError": 1}
    assert receiver.observations("channel") == TASKS + 1
    assert receiver.total("ml.prediction.duration") == TASKS + 1
    assert receiver.decreases == []
    assert len(receiver.instances()) >= (2 if arguments else 1)


@pytest.mark.system
def test_without_the_adapter_a_prefork_pool_loses_everything(receiver, environment, application, tmp_path):
    """This is what the adapter is for."""
    tasks = [application.predict.delay(row(turn)) for turn in range(10)]
    with running(
        worker("prefork"),
        {**environment, "SERVICE_SETUP": "import", "SERVICE_FLUSH": "false"},
        tmp_path / "log",
        ready=lambda _: all(task.ready() for task in tasks),
    ):
        pass
    assert receiver.served() == 0
