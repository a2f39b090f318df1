"""Measure what a Ray cluster of two nodes with one core each costs on this machine.

    python -m benchmarks.cluster --data data

1. Overhead: six members trained by ``kd train --workers 2`` and by ``--executor ray`` in turns. Ray
   may take at most 15 % longer. Starting the cluster is not counted.
2. Costs: seconds and MB of each step of a member, and from them the time of 15, 150 and 1,500
   members on 1, 10 and 100 nodes (benchmarks.plan).

tests/executors/test_ray.py checks that the results are bit-identical, also if a worker and a node
are killed.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.executors import run_kd_train
from benchmarks.plan import Costs, table
from kaggle_digits.core.environment import hardware, versions
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import Split, split
from kaggle_digits.executors.ray import connect
from kaggle_digits.executors.workers import train_one
from kaggle_digits.runs.run import Run
from kaggle_digits.training.fold import FoldResult, FoldTask
from kaggle_digits.training.members import aggregate, save_result
from kaggle_digits.training.recipes import find_recipe

PARTS = ("overhead", "costs")
MEMBERS = 6
MAX_OVERHEAD = 1.15


def main() -> int:
    """Print the measurements; return 1 if Ray takes too much longer than local processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--recipe", default="cnn")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    print(
        f"{options.recipe}, {options.epochs} epochs, {MEMBERS} folds\n{hardware()}\n{versions()}\n"
    )
    ratio = 0.0
    with ray_cluster(nodes=2) as address:
        if "overhead" in options.parts:
            ratio = overhead(address, options)
        if "costs" in options.parts:
            costs = measure(address, load(options.data), options)
            print(f"{costs}\n\n{table(costs)}\n", flush=True)
    return int(ratio > MAX_OVERHEAD)


@contextmanager
def ray_cluster(nodes: int) -> Iterator[str]:
    """Yield the address of a new cluster on this machine; end it afterwards."""
    # By default Ray's workers have a low priority, which would make the comparison unfair.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, num_gpus=0, object_store_memory=400_000_000)
        yield cluster.address
    finally:
        cluster.shutdown()


def overhead(address: str, options: Any) -> float:
    """Return seconds on the cluster divided by seconds in local processes; print each round."""
    training = ["--recipe", options.recipe, "--epochs", str(options.epochs)]
    training += ["--folds", str(MEMBERS)]
    rounds = []
    for number in range(options.rounds):
        local = run_kd_train(options.data, [*training, "--workers", "2"]).seconds
        on_ray = run_kd_train(options.data, [*training, "--address", address]).seconds
        rounds.append((local, on_ray))
        print(f"round {number + 1}: local {local:.1f} s, Ray {on_ray:.1f} s", flush=True)
    ratio = statistics.median(on_ray / local for local, on_ray in rounds)
    print(f"Ray / local: {ratio:.3f} (at most {MAX_OVERHEAD})\n", flush=True)
    return ratio


def measure(address: str, dataset: Dataset, options: Any) -> Costs:
    """Measure each cost by itself; nothing else should run on this machine."""
    recipe = find_recipe(options.recipe).with_changes(epochs=options.epochs)
    part = split(dataset.labels, Split("folds", folds=MEMBERS))[0]
    design = recipe.recipes[0]
    started = time.perf_counter()
    ray = connect(address)
    connecting = time.perf_counter() - started
    started = time.perf_counter()
    data = ray.put((dataset.train, dataset.test))
    putting = time.perf_counter() - started

    def train_alone(task: FoldTask, data: Any) -> tuple[float, float, bytes]:
        started = time.perf_counter()
        from kaggle_digits.executors.workers import limit_threads
        from kaggle_digits.models.backend import keras

        limit_threads(1)
        keras()
        starting = time.perf_counter() - started
        started = time.perf_counter()
        result = train_one(task, *data)
        return starting, time.perf_counter() - started, pickle.dumps(result, protocol=5)

    remote = ray.remote(num_cpus=1, max_calls=1)(train_alone)
    started = time.perf_counter()
    starting, training, packed = ray.get(remote.remote(FoldTask(0, design, part, 0), data))
    process = time.perf_counter() - started - starting - training
    ray.shutdown()
    result = pickle.loads(packed)
    assert isinstance(result, FoldResult)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        tasks = [FoldTask(number, design, part, 0) for number in range(MEMBERS)]
        started = time.perf_counter()
        for task in tasks:
            save_result(run.member_folder(task.member), result)
        saving = (time.perf_counter() - started) / MEMBERS
        started = time.perf_counter()
        aggregate(run, dataset, tasks, 1)
        aggregating = (time.perf_counter() - started) / MEMBERS
    images = dataset.train.images.nbytes + dataset.test.images.nbytes
    return Costs(
        training=training,
        starting=starting + process,
        data_mb=images / 1e6,
        putting=putting,
        result_mb=len(packed) / 1e6,
        connecting=connecting,
        saving=saving,
        aggregating=aggregating,
    )


if __name__ == "__main__":
    sys.exit(main())
