"""Real programs under `driftline run` and `opentelemetry-instrument`: what they serve must arrive at a receiver."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from otlp_receiver import Receiver
from processes import free_port, wait_for_end, wait_for_port

import driftline as dl

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "zero-code"
BIN = Path(sys.executable).parent
SECONDS = 120
"""Seconds that a program may run; reached only when it hangs."""

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def receiver():
    """A receiver that listens."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model that the example trains."""
    path = tmp_path_factory.mktemp("model") / "delay.joblib"
    subprocess.run([sys.executable, EXAMPLE / "train.py", path], check=True, timeout=SECONDS)
    return path


@pytest.fixture
def environment(receiver, model):
    """The environment of a program that loads the model, and sends to the receiver."""
    return {
        **os.environ,
        "MODEL": str(model),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OTEL_SERVICE_NAME": "zero-code",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def start(command, environment, folder):
    """Start a program with its output in a file."""
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)


def run(command, environment, folder):
    """Run a program, and return its exit code and output."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout, done.stderr


def request(port, number):
    """Request predictions through one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    for index in range(number):
        body = json.dumps({"distance": 700.0 + index, "departure_delay": float(index % 60)})
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        assert set(json.loads(connection.getresponse().read())) == {"late"}
    connection.close()


SERVERS = {
    "uvicorn": ["uvicorn", "service:app", "--port", "{port}", "--log-level", "warning"],
    "python -m uvicorn": ["python", "-m", "uvicorn", "service:app", "--port", "{port}", "--log-level", "warning"],
    "uvicorn --workers 2": ["uvicorn", "service:app", "--port", "{port}", "--workers", "2", "--log-level", "warning"],
    "gunicorn": ["gunicorn", "service:app", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", "127.0.0.1:{port}"],
    "gunicorn --preload": [
        *("gunicorn", "service:app", "--preload", "-k", "uvicorn_worker.UvicornWorker"),
        *("-w", "2", "-b", "127.0.0.1:{port}"),
    ],
}


@pytest.mark.parametrize("launcher", ["driftline run", "opentelemetry-instrument"])
@pytest.mark.parametrize("server", SERVERS)
def test_everything_that_was_served_arrives(receiver, environment, tmp_path, server, launcher):
    """Under load, and with SIGTERM long before the next export. The service has no line of driftline."""
    if launcher == "opentelemetry-instrument":
        pytest.importorskip("opentelemetry.distro")
        if "gunicorn" in server:
            pytest.skip("the metric reader of the SDK does not survive the fork without driftline's own set-up")
    environment["PYTHONPATH"] = str(EXAMPLE)
    port = free_port()
    command = [*launcher.split(), *(word.format(port=port) for word in SERVERS[server])]
    process = start(command, environment, tmp_path)
    try:
        wait_for_port(port, process, (tmp_path / "log").read_text)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: request(port, 50), range(4)))
    finally:
        process.send_signal(signal.SIGTERM)
        code = wait_for_end(process, 30)
    expected = 0 if "gunicorn" in server or "workers" in server else -signal.SIGTERM
    assert code == expected, (tmp_path / "log").read_text()
    served = {
        dict(attributes)["ml.model.name"]: receiver.total("ml.predictions.served", **dict(attributes))
        for (_, attributes) in receiver.values("ml.predictions.served")
    }
    assert served == {"delay": 200}, (tmp_path / "log").read_text()
    assert receiver.values("ml.monitor.errors") == {}


SCRIPT = """
import os, sys
import joblib
model = joblib.load(os.environ["MODEL"])
print(model.predict([[700.0, 60.0]] * 3).tolist(), sys.argv[1:])
sys.exit(7)
"""


@pytest.mark.parametrize("form", ["python script", "python -m", "script", "python -c"])
def test_programs_of_all_kinds_are_instrumented(receiver, environment, tmp_path, form):
    """Exit code, output and arguments are those of the program."""
    script = tmp_path / "job.py"
    script.write_text(f"#!{sys.executable}\n{SCRIPT}")
    script.chmod(0o755)
    forms = {
        "python script": ["python", str(script)],
        "python -m": ["python", "-m", "job"],
        "script": [str(script)],
        "python -c": ["python", "-c", SCRIPT],
    }
    code, output, errors = run(["driftline", "run", *forms[form], "--flag", "x"], environment, tmp_path)
    assert (code, output.strip()) == (7, "[True, True, True] ['--flag', 'x']"), errors
    assert errors == ""
    assert receiver.served() == 3


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "driftline_sklearn", 0),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "driftline_mlflow", 3),
        ("DRIFTLINE_ENABLED", "false", 0),
    ],
)
def test_variables_turn_it_off(receiver, environment, tmp_path, variable, value, expected):
    """The program is the same."""
    environment[variable] = value
    code, output, _ = run(["driftline", "run", "python", "-c", SCRIPT], environment, tmp_path)
    assert (code, output.strip()) == (7, "[True, True, True] []")
    assert receiver.served() == expected


def test_variables_configure_the_monitor(receiver, environment, tmp_path):
    """Those of driftline, or the options of `opentelemetry-instrument` for them."""
    environment |= {"DRIFTLINE_NAME": "arrival", "DRIFTLINE_VERSION": "9", "DRIFTLINE_EXPORT_BINS": "true"}
    assert run(["driftline", "run", "python", "-c", SCRIPT], environment, tmp_path)[0] == 7
    assert receiver.total("ml.predictions.served", ml__model__name="arrival", ml__model__version="9") == 3
    assert receiver.observations("distance") == 3


def test_options_of_the_distribution_configure_the_monitor(receiver, environment, tmp_path):
    """The entry point of variables makes them."""
    pytest.importorskip("opentelemetry.distro")
    command = ["opentelemetry-instrument", "--driftline_name", "arrival", "python", "-c", SCRIPT]
    assert run(command, environment, tmp_path)[0] == 7
    assert receiver.total("ml.predictions.served", ml__model__name="arrival") == 3


def test_a_declarative_file_configures_everything(receiver, environment, tmp_path):
    """Where telemetry goes, and how the model is monitored."""
    pytest.importorskip("opentelemetry.configuration")
    file = tmp_path / "otel.yaml"
    file.write_text(f"""
file_format: "1.0"
meter_provider:
  readers:
    - periodic:
        exporter:
          otlp_http: {{endpoint: "{receiver.endpoint}/v1/metrics"}}
instrumentation/development:
  python:
    driftline:
      monitors:
        - {{name: arrival, model: "*/delay.joblib", export_bins: true, window: {{rows: 100}}}}
""")
    for variable in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        del environment[variable]
    code, _, errors = run(["driftline", "run", "--config", "otel.yaml", "python", "-c", SCRIPT], environment, tmp_path)
    assert code == 7, errors
    assert receiver.total("ml.predictions.served", ml__model__name="arrival") == 3
    assert receiver.observations("distance") == 3


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DRIFTLINE_WINDOW", "soon", "driftline: length='soon': expected a positive duration"),
        ("OTEL_PYTHON_DRIFTLINE_RULE", "never", "rule='never': expected '1 per 30d'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon", "carrier-pigeon"),
    ],
)
def test_a_wrong_configuration_ends_the_program_before_it_starts(environment, tmp_path, variable, value, message):
    """With the code of errors, and the name of the value."""
    environment[variable] = value
    code, output, errors = run(["driftline", "run", "python", "-c", SCRIPT], environment, tmp_path)
    assert code == 3
    assert output == ""
    assert message in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-program"], "'no-such-program': expected the name or path of a program"),
        (["--config", "absent.yaml", "python"], "--config='absent.yaml': expected the path of a file"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_command_is_an_error(environment, tmp_path, arguments, message):
    """With the code of errors of all commands."""
    code, _, errors = run(["driftline", "run", *arguments], environment, tmp_path)
    assert code == 3
    assert message in errors


@pytest.fixture
def not_ignored():
    """Let programs that are started end at a hang-up, which ``nohup`` would have them ignore."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_signals_end_the_program_as_before(environment, tmp_path, not_ignored, number):
    """The process is the program: nothing stands between it and the signal."""
    script = "print('up', flush=True)\nimport time\ntime.sleep(60)"
    codes = []
    for launcher in ([], ["driftline", "run"]):
        process = subprocess.Popen(
            [*launcher, "python", "-c", script], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=-3
        )
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        codes.append(wait_for_end(process, 30))
        process.stdout.close()
    assert codes == [-number, -number]


def test_a_handler_of_the_program_is_not_affected(receiver, environment, tmp_path):
    """It decides how the program ends."""
    script = SCRIPT.replace("sys.exit(7)", "") + (
        "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        ["driftline", "run", "python", "-c", script], env=environment, cwd=tmp_path, stdout=subprocess.PIPE
    )
    assert process.stdout.readline().startswith(b"[True")
    assert process.stdout.readline() == b"up\n"
    process.terminate()
    assert wait_for_end(process, 30) == 5
    process.stdout.close()
    assert receiver.served() == 3


def test_a_sitecustomize_of_the_environment_still_runs(environment, tmp_path):
    """Python imports only the first on its path."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.customized = True\n")
    environment["PYTHONPATH"] = str(tmp_path)
    script = "import sys, os; print(sys.customized, os.environ['PYTHONPATH'].count('instrumentors/_site'))"
    assert run(["driftline", "run", "python", "-c", script], environment, tmp_path)[1].strip() == "True 1"


def test_children_are_instrumented(receiver, environment, tmp_path):
    """Those that a program starts with another command, and those of multiprocessing."""
    (tmp_path / "child.py").write_text(f"if __name__ == '__main__':{SCRIPT}".replace("\n", "\n    "))
    script = (
        "import subprocess, sys, multiprocessing, os, joblib\n"
        "def work():\n    joblib.load(os.environ['MODEL']).predict([[700.0, 60.0]] * 2)\n"
        "if __name__ == '__main__':\n"
        "    subprocess.run([sys.executable, 'child.py'])\n"
        "    for kind in ('fork', 'spawn'):\n"
        "        process = multiprocessing.get_context(kind).Process(target=work)\n"
        "        process.start()\n"
        "        process.join()\n"
        "        assert process.exitcode == 0\n"
    )
    (tmp_path / "parent.py").write_text(script)
    code, _, errors = run(["driftline", "run", "python", "parent.py"], environment, tmp_path)
    assert code == 0, errors
    assert receiver.served() == 3 + 2 + 2


def test_another_interpreter_runs_without_driftline(environment, tmp_path):
    """A program may start a Python in which driftline is not installed."""
    isolated = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-S', '-c', 'print(1)']).returncode)"
    code, output, errors = run(["driftline", "run", "python", "-c", isolated], environment, tmp_path)
    assert (code, output.strip()) == (0, "1"), errors


def test_a_unreachable_collector_does_not_stop_the_program(environment, tmp_path):
    """The flush at SIGTERM is bounded."""
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
    script = SCRIPT.replace("sys.exit(7)", "print('up', flush=True)\nimport time\ntime.sleep(60)")
    process = subprocess.Popen(
        ["driftline", "run", "python", "-c", script],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.readline()
    process.stdout.readline()
    began = time.monotonic()
    process.terminate()
    assert wait_for_end(process, 40) == -signal.SIGTERM
    process.stdout.close()
    assert time.monotonic() - began < 25


def test_the_service_has_no_line_of_driftline():
    """Apart from the text that says how to start it."""
    code = (EXAMPLE / "service.py").read_text().split('"""', 2)[2]
    assert "driftline" not in code
    assert (EXAMPLE / "train.py").read_text().split('"""', 2)[2].count("dl.carry(") == 1


def test_the_model_of_the_example_predicts_as_without_a_monitor(environment):
    """Its class and its results are those of scikit-learn."""
    model = joblib.load(environment["MODEL"])
    assert dl.carried(model) is not None
    assert model.predict(np.array([[700.0, 60.0], [700.0, -20.0]])).tolist() == [True, False]
