"""What a Ray cluster costs and outlives, on two nodes of one core each on this machine.

    python -m benchmarks.cluster --data data

1. Overhead: the same six members by ``kd train --workers 2`` and by ``--executor ray``, in turns;
   the bar is 15 % over local. The cluster's own start is not in it.
2. Faults: the same again, a worker killed and a node removed midway: the out-of-fold array must be
   the local one bit for bit, and no member that had finished may be trained again.
3. Costs: of a member, of its data and its result on the way, of the driver; and from them how long
   15, 150 and 1,500 members take on 1, 10 and 100 nodes (benchmarks.plan).
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.executors import train as train_by_command
from benchmarks.plan import Costs, table
from benchmarks.ray_nodes import Nodes, ray_nodes
from benchmarks.watching import Disasters
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split, split
from kaggle_digits.executors.ray import RayExecutor
from kaggle_digits.executors.ray_connect import connect
from kaggle_digits.executors.worker import HandedOver, train_one
from kaggle_digits.runs.run import Run
from kaggle_digits.training.aggregate import aggregate
from kaggle_digits.training.callbacks import TrainingCallback
from kaggle_digits.training.executor import Fitted
from kaggle_digits.training.fold import FoldTask
from kaggle_digits.training.member_store import save_result
from kaggle_digits.training.recipes import find_recipe
from kaggle_digits.training.train import train

PARTS = ("overhead", "faults", "costs")
MEMBERS = 6
BAR = 1.15


def main() -> int:
    """Print the figures; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--recipe", default="cnn")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    print(f"{given.recipe}, {given.epochs} epochs, {MEMBERS} folds\n{hardware()}\n{versions()}\n")
    missed = False
    dataset = load(given.data)
    with ray_nodes(2) as nodes:
        if "overhead" in given.parts:
            missed |= overhead(nodes, given) > BAR
        if "costs" in given.parts:
            costs = measure(nodes, dataset, given)
            print(f"{costs}\n\n{table(costs)}\n", flush=True)
        if "faults" in given.parts:  # last, since a node is lost
            with tempfile.TemporaryDirectory() as work:
                missed |= not outlive(nodes, dataset, given, Path(work))
    return int(missed)


def overhead(nodes: Nodes, given: Any) -> float:
    """Seconds on the cluster over seconds in processes of this machine; prints the pairs."""
    options = ["--recipe", given.recipe, "--epochs", str(given.epochs), "--folds", str(MEMBERS)]
    rounds = []
    for number in range(given.rounds):
        here = train_by_command(given.data, [*options, "--workers", "2"]).seconds
        there = train_by_command(given.data, [*options, "--address", nodes.address]).seconds
        rounds.append((here, there))
        print(f"round {number + 1}: local {here:.1f} s, Ray {there:.1f} s", flush=True)
    ratio = statistics.median(there / here for here, there in rounds)
    print(f"Ray over local: {ratio:.3f} (the bar: {BAR})\n", flush=True)
    return ratio


def outlive(nodes: Nodes, dataset: Dataset, given: Any, work: Path) -> bool:
    """Whether a training with disasters is the local one bit for bit; prints what happened."""
    from kaggle_digits.executors.local import LocalExecutor

    recipe = find_recipe(given.recipe).with_changes(epochs=given.epochs)
    how = Split("folds", folds=MEMBERS)
    local = LocalExecutor(workers=2, threads=1)
    alone = train(dataset, recipe, how, runs_dir=work, name="here", executor=local)
    callback = Disasters(nodes)
    cluster = RayExecutor(nodes.address)
    run = train(
        dataset, recipe, how, runs_dir=work, name="there", executor=cluster, callback=callback
    )
    same = np.array_equal(alone.oof(), run.oof()) and np.array_equal(alone.test(), run.test())
    print(
        f"a worker killed, a node removed: times started, by member: {callback.count('started')}, "
        f"finished: {callback.count('finished')}, finished and trained again: "
        f"{callback.started_after_the_end}; "
        f"oof.npy and test.npy {'the same bit for bit' if same else 'DIFFERENT'}"
    )
    print("\n".join(f"  {note}" for note in callback.notes), flush=True)
    return bool(same and not callback.started_after_the_end)


def measure(nodes: Nodes, dataset: Dataset, given: Any) -> Costs:
    """Each cost by itself, on a machine that does nothing else."""
    recipe = find_recipe(given.recipe).with_changes(epochs=given.epochs)
    how = Split("folds", folds=MEMBERS)
    part = split(dataset.labels, how)[0]
    design = recipe.recipes[0]
    started = time.perf_counter()
    ray = connect(nodes.address)
    connecting = time.perf_counter() - started
    started = time.perf_counter()
    held = ray.put((dataset.train, dataset.test))
    put = time.perf_counter() - started

    def alone(task: FoldTask, data: Any) -> tuple[float, float, bytes]:
        started = time.perf_counter()
        from kaggle_digits.executors.worker import limit_threads
        from kaggle_digits.models.backend import keras

        limit_threads(1)
        keras()
        starting = time.perf_counter() - started
        started = time.perf_counter()
        outcome = train_one(task, data[0], data[1], HandedOver(None), TrainingCallback())
        return starting, time.perf_counter() - started, pickle.dumps(outcome, protocol=5)

    remote = ray.remote(num_cpus=1, max_calls=1)(alone)
    started = time.perf_counter()
    starting, training, packed = ray.get(remote.remote(FoldTask(0, design, part, 0), held))
    process = time.perf_counter() - started - starting - training
    ray.shutdown()
    outcome = pickle.loads(packed)
    assert isinstance(outcome, Fitted)
    with tempfile.TemporaryDirectory() as work:
        run = Run(Path(work))
        tasks = [FoldTask(number, design, part, 0) for number in range(MEMBERS)]
        started = time.perf_counter()
        for task in tasks:
            save_result(run.member_folder(task.member), outcome.result)
        keeping = (time.perf_counter() - started) / MEMBERS
        started = time.perf_counter()
        aggregate(run, dataset, tasks, 1)
        assembling = (time.perf_counter() - started) / MEMBERS
    images = dataset.train.images.nbytes + dataset.test.images.nbytes
    return Costs(
        training=training,
        starting=starting + process,
        data_mb=images / 1e6,
        putting=put,
        result_mb=len(packed) / 1e6,
        connecting=connecting,
        keeping=keeping,
        assembling=assembling,
    )


if __name__ == "__main__":
    sys.exit(main())
