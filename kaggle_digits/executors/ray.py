"""Train folds on a Ray cluster, one task each; only this process writes the run folder."""

import contextlib
import io
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from kaggle_digits.core.environment import versions
from kaggle_digits.core.errors import ModelError, RunError, check_at_least
from kaggle_digits.core.extras import require
from kaggle_digits.data.digits import Digits
from kaggle_digits.executors.workers import Message, limit_threads, run_tasks, train_one
from kaggle_digits.training.callbacks import ForwardingCallback
from kaggle_digits.training.executor import Executor, Failed, Outcome, Workload
from kaggle_digits.training.fold import FoldResult, FoldTask

SECONDS_TO_CONNECT = 27
# How often the nodes are counted while no message arrives, and how long the cluster may be unable
# to run a task before the training stops.
SECONDS_BETWEEN_CHECKS, SECONDS_WITHOUT_CAPACITY = 2.0, 20.0
# Tasks submitted beyond the cluster's capacity, so that no node waits for this process.
PREFETCHED_TASKS = 2
# With another version of one of these the same seed gives other results, or none.
MUST_AGREE = ("kaggle-digits", "tensorflow", "keras", "scikit-learn", "numpy")
INIT_OPTIONS = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
HOW_TO_START = (
    "start one: ray start --head, then on the other machines ray start --address HOST:PORT"
)
CONTINUE = "finished members are kept, continue"
INSTALL_ON_NODES = (
    "install the same version on every node, in its checkout: "
    "pip install -c constraints.txt '.[ray]'"
)


@dataclass(frozen=True)
class RayExecutor(Executor):
    """A Ray cluster, by default with as many workers as it has room for and one thread each.

    Attributes:
        address: ``auto`` for the cluster that this machine belongs to, ``host:port`` of a head
            node, or ``ray://host:port`` of its Ray Client server.
        gpus: GPUs per member; with 0.5 two members share one.
    """

    address: str = "auto"
    gpus: float = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("gpus", self.gpus, 0)
        require("--executor ray", "ray", extra="ray")

    def describe(self, tasks: Sequence[FoldTask]) -> dict[str, Any]:
        threads = self.threads or 1
        return {"executor": "ray", "workers": self.workers, "threads": threads, "gpus": self.gpus}

    def train(self, work: Workload) -> Iterator[Outcome]:
        ray = connect(self.address)
        # Ray prints errors of its nodes to stdout, which is reserved for results.
        stdout = sys.stderr if os.environ.get("KD_DEBUG") else io.StringIO()
        try:
            with contextlib.redirect_stdout(stdout):
                workers = _RayWorkers(ray, self, (work.train, work.test))
                yield from run_tasks(workers, work)
        finally:
            ray.shutdown()


class _RayWorkers:
    """The tasks submitted to the cluster."""

    def __init__(self, ray: Any, executor: RayExecutor, data: tuple[Digits, Digits]) -> None:
        self._ray, self._executor = ray, executor
        self._threads = executor.threads or 1
        # A Ray Client cannot read a task's stream of messages, only its last one.
        self._streams = not executor.address.startswith("ray://")
        self._remote = ray.remote(
            num_cpus=self._threads,
            num_gpus=executor.gpus,
            num_returns="streaming" if self._streams else 1,
            max_calls=1,  # TensorFlow frees its memory only when its process ends
            max_retries=0,  # run_tasks retries, so that it can report why
        )(train_streaming if self._streams else train_to_the_end)
        self._versions = {name: versions()[name] for name in MUST_AGREE}
        self._running: dict[Any, FoldTask] = {}
        self._last_capacity = time.monotonic()
        if not self._capacity():
            raise RunError(self._no_capacity())
        self._data = [ray.put(digits) for digits in data]

    def has_room(self) -> bool:
        limit = self._executor.workers or self._capacity() + PREFETCHED_TASKS
        return len(self._running) < limit

    def start(self, task: FoldTask, checkpoint: bytes | None) -> None:
        arguments = (task, *self._data, checkpoint, self._threads, self._versions)
        self._running[self._remote.remote(*arguments)] = task

    def messages(self) -> Iterator[tuple[FoldTask, Message]]:
        """Wait some seconds for a message; RunError if the cluster is gone or without capacity."""
        try:
            ready, _ = self._ray.wait(list(self._running), timeout=SECONDS_BETWEEN_CHECKS)
            if ready or self._capacity():
                self._last_capacity = time.monotonic()
            elif time.monotonic() - self._last_capacity > SECONDS_WITHOUT_CAPACITY:
                raise RunError(f"{self._no_capacity()}; {CONTINUE} with: kd train --resume")
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise self._lost(error) from error
        for reference in ready:
            task = self._running[reference]
            try:
                kind, content = self._ray.get(next(reference) if self._streams else reference)
            except ConnectionError as error:
                raise self._lost(error) from error
            except (self._ray.exceptions.RayError, StopIteration) as error:
                kind, content = "result", Failed(task, _task_error(error))
            if kind == "result":
                del self._running[reference]
            if isinstance(content, FoldResult) and not self._streams:
                epochs = len(content.history)
                yield task, ("callback", ("on_member_begin", (task.member, epochs, 1, 0)))
                for row in content.history:
                    yield task, ("callback", ("on_epoch_end", (row,)))
            yield task, (kind, content)

    def stop(self) -> None:
        for reference in self._running:
            with contextlib.suppress(Exception):
                self._ray.cancel(reference, force=True)

    def _capacity(self) -> int:
        """Return how many tasks the live nodes can run at once if nobody else uses them."""
        capacity = 0
        for node in self._ray.nodes():
            resources = node["Resources"] if node["Alive"] else {}
            tasks = resources.get("CPU", 0) // self._threads
            if self._executor.gpus:
                tasks = min(tasks, resources.get("GPU", 0) // self._executor.gpus)
            capacity += int(tasks)
        return capacity

    def _no_capacity(self) -> str:
        gpus = f" and {self._executor.gpus:g} GPUs" if self._executor.gpus else ""
        return (
            f"no node of the Ray cluster at {self._executor.address} has {self._threads} "
            f"cores{gpus}, which each member needs; lower --threads or --gpus, or add a node"
        )

    def _lost(self, error: Exception) -> RunError:
        return RunError(
            f"lost the connection to the Ray cluster at {self._executor.address} "
            f"({_first_line(error)}); {CONTINUE} here or on another cluster with: kd train --resume"
        )


def _task_error(error: Exception) -> ModelError | RunError:
    """Return why a task stopped; a ModelError if another attempt cannot succeed."""
    text = str(error)
    if "kaggle_digits" in text and "ModuleNotFoundError" in text:
        return ModelError(f"a node of the Ray cluster has no kaggle-digits; {INSTALL_ON_NODES}")
    name = type(error).__name__
    died = {"WorkerCrashedError": "its process died", "NodeDiedError": "its node died"}
    return RunError(died.get(name, f"{name}: {_first_line(error)}"))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def train_streaming(  # noqa: PLR0917 (Ray passes positional arguments)
    task: FoldTask,
    train: Digits,
    test: Digits,
    checkpoint: bytes | None,
    threads: int,
    expected: dict[str, str],
) -> Iterator[Message]:
    """Train one fold on a node with ``threads`` threads; yield its messages, the result last.

    ``expected`` are the versions of packages in the process that submitted the task.
    """
    installed = versions()
    for package, version in expected.items():
        if installed.get(package) != version:
            message = (
                f"node {platform.node()} has {package} {installed.get(package)}, this machine has "
                f"{version}, so results would differ; {INSTALL_ON_NODES}"
            )
            yield "result", Failed(task, ModelError(message))
            return
    limit_threads(threads)
    messages: SimpleQueue[Message] = SimpleQueue()

    def send(method: str, arguments: tuple[Any, ...]) -> None:
        if method != "on_step":  # one message per epoch is enough for a network
            messages.put(("callback", (method, arguments)))

    def work() -> None:
        options = {"checkpoint": checkpoint, "callback": ForwardingCallback(send)}
        messages.put(("result", train_one(task, train, test, **options)))

    # In a thread, because this generator must yield while the training runs.
    Thread(target=work, daemon=True).start()
    kind = ""
    while kind != "result":
        kind, content = messages.get()
        yield kind, content


def train_to_the_end(*arguments: Any) -> Message:
    """Train one fold like train_streaming, but return only the last message."""
    *_, last = train_streaming(*arguments)
    return last


# ray.init() waits for minutes if no cluster answers and may end the process, so another process
# tries it first. It skips the interpreter's shutdown, in which ray has been seen to hang.
_TRY_TO_CONNECT = f"""
import os, sys
import ray
status = 0
try:
    ray.init(address=sys.argv[1], **{INIT_OPTIONS!r})
    ray.shutdown()
except Exception as error:
    sys.stderr.write(str(error))
    status = 1
sys.stderr.flush()
os._exit(status)
"""


def connect(address: str) -> Any:
    """Return the ray module, connected to the cluster at ``address`` (see RayExecutor).

    UsageError is raised if ray is not installed, RunError if there is no cluster, it does not
    answer, or it runs another version.
    """
    _prepare_environment()
    require("--executor ray", "ray", extra="ray")
    import ray

    if ray.is_initialized():
        return ray
    try:
        subprocess.run(
            [sys.executable, "-c", _TRY_TO_CONNECT, address],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS_TO_CONNECT,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        output = (error.stdout or b"").decode(errors="replace")
        raise RunError(_connection_error(address, output)) from None
    try:
        ray.init(address=address, **INIT_OPTIONS)
    except Exception as error:
        ray.shutdown()  # a half-open connection would break the next attempt
        raise RunError(_connection_error(address, str(error))) from None
    return ray


def _prepare_environment() -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # If a token exists, head nodes started here require it, but a driver does not send it unless
    # told to. A cluster that requires none ignores it.
    token = Path(os.path.expanduser("~/.ray/auth_token"))  # noqa: PTH111 (no error without a home)
    if token.is_file() or any(os.environ.get(name) for name in TOKEN_VARIABLES):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _connection_error(address: str, output: str) -> str:
    """Return one line that explains what ray printed."""
    if "Version mismatch" in output:
        mismatch = " ".join(output[output.index("Version mismatch") :].split())[:300]
        return (
            f"the Ray cluster at {address} runs another version ({mismatch}); install the same "
            "ray and the same Python, including its patch release, on all machines"
        )
    if "Unauthenticated" in output or "AuthToken" in output:
        return (
            f"the Ray cluster at {address} requires a token; save the cluster's token as "
            "~/.ray/auth_token or set RAY_AUTH_TOKEN, then run the command again"
        )
    if address == "auto":
        return f"no Ray cluster runs on this machine; {HOW_TO_START}"
    # The Ray Client server forks a process per client and sometimes hangs while it does so.
    again = "run the command again, or " if address.startswith("ray://") else ""
    return (
        f"no Ray cluster answers at {address} within {SECONDS_TO_CONNECT} s; {again}use the "
        f"address that ray start --head printed, or {HOW_TO_START}"
    )
