"""
The loop through MLflow's model registry, with its real server, its real webhook and the example's processes.

A request sets a tag, MLflow's signed webhook starts a training, the new version takes the alias, and the monitor gets
the reference that it carries, without a restart.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from libraries import require
from processes import LOCAL, free_port, is_listening, wait_for_end

import driftline as dl
from driftline.retraining import RetrainingDelivery

mlflow = require("mlflow")
pd = require("pandas")
require("sklearn")
if not Path(mlflow.__file__).with_name("webhooks").is_dir():
    pytest.skip("mlflow-skinny has no server", allow_module_level=True)

from sklearn.linear_model import LogisticRegression  # noqa: E402

from driftline.integrations.mlflow_registry import AliasFollower, RequestTag  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples" / "retraining"
MODEL, SECRET = "delay", "a secret of the test"
SECONDS = 400.0
"""Seconds that the server may take to start, and a training. Each takes about ten on a quiet machine."""


def data(shift, rows=3_000, seed=0):
    """Return rows of the model's features, and whether they are late."""
    random = np.random.default_rng(seed)
    age, amount = random.normal(40.0 + shift, 10.0, rows), random.exponential(10.0, rows)
    return pd.DataFrame({"age": age, "amount": amount, "late": age - shift + random.normal(0, 5, rows) > 42.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the processes, for all tests: the server takes long to start."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def environment(folder):
    """The environment of the processes, with the address of MLflow's server."""
    return {
        **os.environ,
        **LOCAL,
        "DO_NOT_TRACK": "true",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        # MLflow sends to public addresses only, unless it is asked to.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "RETRAINING_SECRET": SECRET,
        "RETRAINING_DATA": str(folder / "recent.csv"),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture(scope="module")
def run(folder, environment):
    """Start a process that listens at a port."""
    processes = []

    def start(name, port, *command):
        log = (folder / f"{name}.log").open("wb")
        with log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
            )
        processes.append(process)
        wait_for(lambda: is_listening(port), folder)
        assert process.poll() is None

    yield start
    for process in processes:
        os.killpg(process.pid, 15)
        wait_for_end(process)


@pytest.fixture(scope="module")
def registry(run, environment, folder):
    """MLflow's server with a first version of the model."""
    address = environment["MLFLOW_TRACKING_URI"]
    port = address.rpartition(":")[2]
    store = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"))
    run("mlflow", int(port), sys.executable, "-m", "mlflow", "server", *store, "--port", port, "--workers", "1")
    patch = pytest.MonkeyPatch()
    for name in ("MLFLOW_TRACKING_URI", "DO_NOT_TRACK", *LOCAL):
        patch.setenv(name, environment[name])
    mlflow.set_tracking_uri(address)
    data(0.0).to_csv(folder / "recent.csv", index=False)
    command = [sys.executable, EXAMPLES / "mlflow_train.py", "first", MODEL, "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(None)
    patch.undo()


@pytest.fixture(scope="module")
def webhook(run, registry, folder):
    """The example's receiver, to which MLflow sends."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    training = (sys.executable, str(EXAMPLES / "mlflow_train.py"))
    run("webhook", port, sys.executable, EXAMPLES / "mlflow_webhook.py", address, str(folder / "runs"), *training)
    registry.create_webhook("retraining", f"http://{address}/", ["model_version_tag.set"], secret=SECRET)
    return f"http://{address}/"


def wait_for(condition, folder):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "\n".join(path.read_text() for path in folder.rglob("*.log"))
        time.sleep(0.1)


def request():
    """Return a request about the first version; the queue gives it its id."""
    return dl.RetrainingRequest("", MODEL, "1", "drift", "age: median 40 to 60", ("age",), time.time(), ordinal=0)


def test_the_loop_closes_through_the_registry(registry, webhook, folder):
    """From the request to a monitor whose states are stable on the traffic that drifted."""
    queue = dl.RetrainingQueue(folder / "queue.db")
    reference = dl.carried(f"models:/{MODEL}@champion")
    monitor = dl.Monitor(
        MODEL,
        version="1",
        reference=reference,
        window=dl.Window(rows=1_000),
        rule=dl.Thresholds(psi=0.2),
        retraining=dl.RetrainingPolicy(queue=queue),
        synchronous=True,
    )
    recent = data(20.0, seed=1)
    recent.to_csv(folder / "recent.csv", index=False)
    traffic = recent[["age", "amount"]]
    monitor.observe(traffic[:1_000])
    monitor.flush()
    assert monitor.status()["age"].state == "drifting"
    id_ = queue.submit(request()).request.id
    loaded = []
    follower = AliasFollower(monitor, MODEL, "champion", version="1", load=loaded.append, seconds=0.2)
    follower.start()
    with RetrainingDelivery(queue, [RequestTag()], every=0.2):
        wait_for(lambda: follower.version == "2", folder)
    follower.close()
    assert registry.get_model_version(MODEL, "1").tags == {"driftline.retraining": f"requested:{id_}"}
    assert [path.name for path in (folder / "runs").iterdir()] == [f"{id_}.log"]
    assert loaded == [f"models:/{MODEL}/2"]
    assert monitor.reference.fingerprint == dl.carried(f"models:/{MODEL}/2").fingerprint != reference.fingerprint
    monitor.observe(traffic[1_000:])
    monitor.flush()
    assert monitor.status()["age"].state == "stable"
    assert queue.find(id_).state in {"succeeded", "superseded"}
    # The tag is set once more, by a process that did not know of the first delivery: nothing is trained again.
    RequestTag().deliver(queue.find(id_))
    registry.set_model_version_tag(MODEL, "1", "driftline.retraining", f"requested:{id_}")
    registry.set_model_version_tag(MODEL, "1", "team", "risk")
    time.sleep(3.0)
    assert len(registry.search_model_versions(f"name='{MODEL}'")) == 2
    monitor.shutdown()
    queue.close()


def test_an_unsigned_message_starts_nothing(webhook, folder):
    """Only MLflow knows the secret."""
    body = b'{"data": {"key": "driftline.retraining", "value": "requested:x", "name": "delay", "version": "1"}}'
    headers = {
        "X-MLflow-Signature": "v1,AAAA",
        "X-MLflow-Delivery-Id": "1",
        "X-MLflow-Timestamp": str(int(time.time())),
    }
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        opener.open(urllib.request.Request(webhook, body, headers), timeout=10)  # noqa: S310 - of the test
    assert not (folder / "runs" / "x.log").exists()


def test_problems_of_the_registry_keep_the_reference(registry, caplog):
    """An absent alias, a version without a reference, and a model that cannot be loaded are logged once each."""
    reference = dl.carried(f"models:/{MODEL}@champion")
    monitor = dl.Monitor(MODEL, version="1", reference=reference, synchronous=True)
    absent = AliasFollower(monitor, MODEL, "absent")
    assert [absent.look(), absent.look()] == [False, False]
    before = registry.get_model_version_by_alias(MODEL, "champion").version
    with mlflow.start_run():
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        logged = mlflow.sklearn.log_model(model, name="bare", registered_model_name=MODEL)
    version = logged.registered_model_version
    registry.set_registered_model_alias(MODEL, "champion", version)
    bare = AliasFollower(monitor, MODEL, "champion", version=before)
    assert [bare.look(), bare.look(), bare.version] == [False, False, before]
    assert [record.name for record in caplog.records].count("driftline") == 2
    assert monitor.reference.fingerprint == reference.fingerprint
    with pytest.raises(Exception, match="not found"):
        RequestTag("absent").deliver(request())
    with pytest.raises(dl.ConfigurationError, match="names no version"):
        RequestTag().deliver(dl.RetrainingRequest("a", MODEL, None, "drift", "", (), 0.0))
    monitor.shutdown()
