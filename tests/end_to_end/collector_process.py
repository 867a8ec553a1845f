"""A collector as a process that can be killed and started again over the same queues."""

from __future__ import annotations

import os
import signal
import subprocess

from processes import LOCAL, free_port, wait_for_end, wait_for_port

__all__ = ["CollectorProcess"]


class CollectorProcess:
    """
    A collector that keeps its ports and its folder of queues.

    Args:
        binary: the collector.
        config: the file.
        folder: the folder of its queues and its log.
        environment: variables of the file.
    """

    def __init__(self, binary, config, folder, **environment):
        self.http = free_port()
        self._command = [binary, "--config", config]
        self._log = folder / "collector.log"
        self._environment = {
            **os.environ,
            **LOCAL,
            "DRIFTLINE_OTLP_GRPC": f"127.0.0.1:{free_port()}",
            "DRIFTLINE_OTLP_HTTP": f"127.0.0.1:{self.http}",
            "DRIFTLINE_OTLP_SUM": f"127.0.0.1:{free_port()}",
            "DRIFTLINE_COLLECTOR_QUEUE": str(folder / "queue"),
            **environment,
        }
        self._process = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.http}"

    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self):
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
        wait_for_port(self.http, self._process, self.log)

    def end(self, how=signal.SIGTERM):
        """End it with a signal."""
        if self._process is not None:
            self._process.send_signal(how)
            wait_for_end(self._process)
            self._process = None
