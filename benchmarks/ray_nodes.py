"""A Ray cluster of several nodes on this machine, for tests and benchmarks.

Every node is a process group of its own, ended by its number: ``ray stop`` ends every Ray process
of a machine, those of others too.
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
            # Ray gives way to all others by default, which on a busy machine is no fair race.
            "RAY_worker_niceness": "0",
            # A dead node is noticed within seconds, not the usual half a minute; one that is only
            # slow has longer.
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "4000",
            "RAY_health_check_failure_threshold": "4",
            # What waits behind the door for clients is started anew for each, on two busy cores.
            "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "90",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=environment
            )

    def wait_until_up(self) -> None:
        """Raise RuntimeError where the node does not start."""
        end = time.monotonic() + SECONDS_TO_START
        while "Ray runtime started" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"a Ray node did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        for number in _group(self.process.pid):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def _group(leader: int) -> list[int]:
    """The leader and all that it started, which share its session."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                found.append(process.pid)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return found or [leader]


class Nodes:
    """A head node and others; ``address`` is the head's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.door = _free_port(), _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.nodes: list[Node] = []

    def start(self, cores: int = 1) -> Node:
        """Add a node."""
        shared = [f"--num-cpus={cores}", "--num-gpus=0", "--disable-usage-stats"]
        shared += ["--object-store-memory=400000000", f"--temp-dir={self.folder / 'ray'}"]
        head = [
            "--head",
            f"--port={self.port}",
            f"--ray-client-server-port={self.door}",
            "--include-dashboard=false",
        ]
        other = [f"--address={self.address}", "--min-worker-port=0", "--max-worker-port=0"]
        arguments = [*(other if self.nodes else head), *shared]
        if self.nodes:
            arguments.remove(f"--temp-dir={self.folder / 'ray'}")  # the head's is taken
        node = Node(arguments, self.folder, len(self.nodes))
        self.nodes.append(node)
        node.wait_until_up()
        return node


@contextmanager
def ray_nodes(count: int) -> Iterator[Nodes]:
    """A cluster of ``count`` nodes of one core each, gone at the end."""
    # Short, since a socket's path may have 107 characters only.
    folder = Path(tempfile.mkdtemp(prefix="kdray"))
    nodes = Nodes(folder)
    try:
        for _ in range(count):
            nodes.start()
        yield nodes
    finally:
        for node in nodes.nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
