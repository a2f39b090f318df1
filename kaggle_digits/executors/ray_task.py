"""What a Ray node is asked: to train one member, and to tell of it as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Any

from kaggle_digits.core.environment import versions
from kaggle_digits.core.errors import ModelError
from kaggle_digits.data.digits import Digits
from kaggle_digits.executors.worker import HandedOver, Teller, limit_threads, train_one
from kaggle_digits.training.executor import Failed
from kaggle_digits.training.fold import FoldTask

# Of another version of one of these the same seed gives other figures, or none.
MUST_AGREE = ("kaggle-digits", "tensorflow", "keras", "scikit-learn", "numpy")

# What is told: ("tell", (name of a Watcher's method, its arguments)) or ("outcome", Trained or
# Failed), the latter once and last.
Message = tuple[str, Any]


def train_and_tell(  # noqa: PLR0917 (Ray hands arguments over by their places)
    task: FoldTask,
    train: Digits,
    test: Digits,
    checkpoint: bytes | None,
    threads: int,
    expected: dict[str, str],
) -> Iterator[Message]:
    """Train one member in this process; yields what happens, its outcome last.

    Args:
        task: what to train.
        train: all labelled rows.
        test: the rows to predict.
        checkpoint: what to go on from, or None.
        threads: that TensorFlow computes on.
        expected: versions that the driver has.
    """
    differing = _differing(expected)
    if differing:
        yield "outcome", Failed(task, ModelError(differing), 1)
        return
    limit_threads(threads)
    messages: SimpleQueue[Message] = SimpleQueue()

    def tell(name: str, arguments: tuple[Any, ...]) -> None:
        if name != "step":  # one message an epoch is enough for a network
            messages.put(("tell", (name, arguments)))

    def work() -> None:
        outcome = train_one(task, train, test, HandedOver(checkpoint), Teller(tell))
        messages.put(("outcome", outcome))

    # In a thread, since Ray takes what is yielded, and a training does not yield.
    Thread(target=work, daemon=True).start()
    kind = ""
    while kind != "outcome":
        kind, content = messages.get()
        yield kind, content


def train_whole(*arguments: Any) -> Message:
    """The same for a driver that cannot listen: only what became of the member."""
    *_, last = train_and_tell(*arguments)
    return last


def _differing(expected: dict[str, str]) -> str:
    import platform

    here = versions()
    for package in MUST_AGREE:
        if here.get(package) != expected.get(package):
            return (
                f"node {platform.node()} has {package} {here.get(package)}, this machine "
                f"{expected.get(package)}, so figures would not be the same; install the same "
                "there: pip install -c constraints.txt 'kaggle-digits[ray]'"
            )
    return ""
