"""A Ray cluster of several nodes on this machine.

Every node is a session of its own and is killed by its number, because ``ray stop`` would end all
Ray processes of this machine, also those of other users.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

SECONDS_TO_START = 60.0


class Node:
    """One node: ``ray start --block`` and everything it started."""

    def __init__(self, arguments: list[str], folder: Path, number: int) -> None:
        self.log = folder / f"node-{number}.log"
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, "--block"]
        environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            # By default Ray's workers have a low priority, so that they starve on a busy machine.
            "RAY_worker_niceness": "0",
            # A dead node is detected within seconds instead of half a minute, but a slow one must
            # not be taken for dead.
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "4000",
            "RAY_health_check_failure_threshold": "4",
            # The Ray Client server starts a process per client, slowly on two busy cores.
            "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "90",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=environment
            )

    def wait_until_up(self) -> None:
        """Raise RuntimeError if the node does not start."""
        end = time.monotonic() + SECONDS_TO_START
        while "Ray runtime started" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"a Ray node did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, like a power cut."""
        for pid in _session(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def _session(leader: int) -> list[int]:
    """Return the processes of the session of ``leader``: itself and all that it started."""
    pids = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                pids.append(process.pid)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return pids or [leader]


class RayCluster:
    """A head node and others; ``address`` is the head's, ``client_port`` of its Ray Client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.client_port = _free_port(), _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.nodes: list[Node] = []

    def start(self, cores: int = 1) -> Node:
        """Add a node and wait until it runs."""
        common = [f"--num-cpus={cores}", "--num-gpus=0", "--disable-usage-stats"]
        common.append("--include-log-monitor=false")  # a process that sends logs to nobody
        common += ["--object-store-memory=400000000", f"--temp-dir={self.folder / 'ray'}"]
        head = [
            "--head",
            f"--port={self.port}",
            f"--ray-client-server-port={self.client_port}",
            "--include-dashboard=false",
        ]
        other = [f"--address={self.address}", "--min-worker-port=0", "--max-worker-port=0"]
        arguments = [*(other if self.nodes else head), *common]
        if self.nodes:
            arguments.remove(f"--temp-dir={self.folder / 'ray'}")  # taken from the head node
        node = Node(arguments, self.folder, len(self.nodes))
        self.nodes.append(node)
        node.wait_until_up()
        return node


@contextmanager
def ray_cluster(nodes: int) -> Iterator[RayCluster]:
    """Yield a cluster of ``nodes`` nodes with one core each; kill it at the end."""
    # A short path, because the path of a socket may have at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="kdray"))
    cluster = RayCluster(folder)
    try:
        for _ in range(nodes):
            cluster.start()
        yield cluster
    finally:
        for node in cluster.nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
