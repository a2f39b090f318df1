"""Where members are trained, as options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kaggle_digits.core.errors import UsageError

if TYPE_CHECKING:
    from kaggle_digits.training.executor import Executor

LOCAL, RAY = "local", "ray"


def find_executor(
    name: str | None,
    *,
    address: str | None,
    workers: int | None,
    threads: int | None,
    gpus: float | None,
) -> Executor:
    """The executor asked for; --address alone asks for ray.

    Raises:
        UsageError: no such executor, or an option that it does not have.
    """
    name = name or (RAY if address else LOCAL)
    if name == RAY:
        from kaggle_digits.executors.ray import RayExecutor

        return RayExecutor(address or "auto", workers, threads, gpus or 0)
    if name != LOCAL:
        raise UsageError(f"--executor {name} is unknown; one of: {LOCAL}, {RAY}")
    if address:
        raise UsageError("--address is of a Ray cluster: --executor ray")
    if gpus is not None:
        raise UsageError("--gpus is for --executor ray; here, each worker has a card to itself")
    from kaggle_digits.core.environment import gpus as cards
    from kaggle_digits.executors.local import LocalExecutor

    return LocalExecutor(workers, threads, len(cards()))
