"""Runs the services of a compose file as processes of this machine: without containers, with the same commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from processes import free_port, wait_for_end, wait_for_port

PROGRAMS = {
    "otel/opentelemetry-collector-contrib": "otelcol",
    "prom/prometheus": "prometheus",
    "prom/alertmanager": "alertmanager",
}
"""The program of each image that starts without a name of one."""

SECONDS = 60.0
"""Seconds that a service may take to start; reached only when a test fails."""


class Compose:
    """
    The services of a compose file.

    Hosts and ports become ports of this machine, and paths in containers become paths in a folder, in commands, in the
    environment, and in the configuration files that are bound into containers.

    Args:
        path: the compose file.
        folder: an empty folder: of logs, volumes, and, in *app*, what the image of the Dockerfile contains.
        tools: the folder of the programs in `PROGRAMS`.
        variables: values of the variables of the file.
        edit: a function of the text of a configuration file, to change intervals.
    """

    def __init__(self, path, folder, tools, variables, edit=lambda text: text):
        text = re.sub(
            r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1], found[2]), path.read_text(encoding="utf-8")
        )
        self.services = yaml.safe_load(text)["services"]
        self._source, self._folder, self._tools, self._edit = path.parent, folder, tools, edit
        self._ports = {}
        self._running = {}
        self.app = folder / "app"
        self.app.mkdir()

    def port(self, service, port, replica=0):
        """Return the port of this machine that stands for a port of a container."""
        return self._ports.setdefault((service, port, replica), free_port())

    def replicas(self, service):
        return self.services[service].get("deploy", {}).get("replicas", 1)

    def volume(self, name):
        """Return the folder that stands for a volume."""
        return self._folder / "volumes" / name

    def log(self, service, replica=0):
        path = self._folder / f"{service}-{replica}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def processes(self, service):
        """Return the processes of a service, one for each replica."""
        return self._running[service]

    def start(self, *names):
        """Start services in this order, and wait until each listens, or has ended if others wait for its end."""
        jobs = {
            name
            for each in self.services.values()
            if isinstance(each.get("depends_on"), dict)
            for name, how in each["depends_on"].items()
            if how["condition"] == "service_completed_successfully"
        }
        for name in names:
            self._running[name] = [self._process(name, replica) for replica in range(self.replicas(name))]
            if name in jobs:
                assert self._running[name][0].wait(SECONDS) == 0, self.log(name)
                continue
            for replica, process in enumerate(self._running[name]):
                for (service, _, number), port in self._ports.items():
                    if (service, number) == (name, replica) and self._listens(name, replica):
                        wait_for_port(port, process, lambda: self.log(name, replica))  # noqa: B023 - called in the loop

    def stop(self):
        """End all processes, the newest first, so that telemetry still arrives."""
        for name in reversed(self._running):
            for process in self._running[name]:
                process.terminate()
            for process in self._running[name]:
                wait_for_end(process)

    def _listens(self, name, replica):
        """Whether a service's command or environment has an address to listen on."""
        return "0.0.0.0:" in str(self.services[name])

    def _process(self, name, replica):
        service = self.services[name]
        places = self._places(name, service, replica)
        command = [
            part for argument in service.get("command", []) for part in self._words(name, replica, argument, places)
        ]
        program = PROGRAMS.get(service["image"].partition(":")[0])
        if program is not None:
            command = [self._tools / program, *command]
        environment = {
            key: self._words(name, replica, str(value), places)[0]
            for key, value in service.get("environment", {}).items()
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # gunicorn writes into the home.
        local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PATH": path, "HOME": str(self.app)}
        with (self._folder / f"{name}-{replica}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=self.app, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **local, **environment}
            )

    def _places(self, name, service, replica):
        """Return paths in the container with those that stand for them."""
        places = {}
        for mount in service.get("tmpfs", []):
            target = mount.partition(":")[0]
            places[target] = self._folder / f"{name}-{replica}-{Path(target).name}"
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                text = self._edit((self._source / source).read_text(encoding="utf-8"))
                local = self._folder / f"{name}-{replica}-{Path(target).name}"
                places[target] = local
                local.write_text(self._words(name, replica, text, self._places_of_volumes(service))[0])
            else:
                places.update(self._places_of_volumes(service))
        return places

    def _places_of_volumes(self, service):
        places = {}
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if not source.startswith("."):
                places[target] = self.volume(source)
                places[target].mkdir(parents=True, exist_ok=True)
        return places

    def _words(self, name, replica, text, places):
        """Return a text for this machine; one for each replica of the service that it names."""
        for target, local in places.items():
            text = re.sub(rf"(?<![\w/.]){re.escape(target)}(?![\w.])", str(local), text)
        text = re.sub(r"0\.0\.0\.0:(\d+)", lambda found: f"127.0.0.1:{self.port(name, found[1], replica)}", text)
        named = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, self.services))}):(\d{{4}})\b")
        copies = max((self.replicas(found[0]) for found in named.findall(text)), default=1)
        return [
            named.sub(lambda found: f"127.0.0.1:{self.port(found[1], found[2], copy % self.replicas(found[1]))}", text)  # noqa: B023
            for copy in range(copies)
        ]
