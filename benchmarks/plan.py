"""Estimate the time of many members on many nodes from measured costs, and name the bottleneck.

    python -m benchmarks.plan --training 200 --starting 8 ...

The model: a node trains ``slots`` members at a time on one core each. Every node receives the data
once, over a network of ``gigabits`` per second, from the driver or a node that has them. The driver
receives results over the same network, writes them one by one while the nodes train, and
aggregates them at the end; the slower of driver and nodes decides.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields

MEMBERS, NODES = (15, 150, 1_500), (1, 10, 100)


@dataclass(frozen=True)
class Costs:
    """Measured costs in seconds and MB.

    Attributes:
        training: seconds to train one member on one core.
        starting: seconds to start a process and import TensorFlow, per member.
        data_mb: MB of images that every node needs.
        putting: seconds to put the images into the driver's object store.
        result_mb: MB that a member sends back.
        connecting: seconds to connect the driver to the cluster.
        saving: seconds in which the driver writes the files of a member.
        aggregating: seconds of the final aggregation, per member.
        slots: members trained at a time on a node.
        gigabits: of the network per second; assumed, not measured.
    """

    training: float
    starting: float
    data_mb: float
    putting: float
    result_mb: float
    connecting: float
    saving: float
    aggregating: float
    slots: int = 2
    gigabits: float = 1.0

    def transfer_seconds(self, megabytes: float) -> float:
        """Return how long ``megabytes`` need over the network."""
        return megabytes * 8e6 / (self.gigabits * 1e9)


def estimate(costs: Costs, members: int, nodes: int) -> tuple[float, str]:
    """Return the seconds that ``members`` take on ``nodes``, and the bottleneck."""
    rounds = math.ceil(members / (nodes * costs.slots))
    computing = rounds * (costs.training + costs.starting)
    # Nodes forward the data to each other, so the number of nodes with data doubles each time.
    distributing = math.ceil(math.log2(nodes + 1)) * costs.transfer_seconds(costs.data_mb)
    driver = members * (costs.saving + costs.transfer_seconds(costs.result_mb))
    total = costs.connecting + costs.putting + distributing + members * costs.aggregating
    if driver > computing:
        return total + driver, "the driver: receiving and writing results"
    if members < nodes * costs.slots:
        idle = 1 - members / (rounds * nodes * costs.slots)
        return total + computing, f"the length of one member; {idle:.0%} of the slots are idle"
    share = costs.training / (costs.training + costs.starting)
    bottleneck = f"training, {share:.0%}" if share > 0.5 else f"starting, {1 - share:.0%}"
    return total + computing, bottleneck


def table(costs: Costs) -> str:
    """Return a Markdown table with a row per number of members and nodes."""
    lines = ["| members | nodes | time | bottleneck |", "| --- | --- | --- | --- |"]
    for members in MEMBERS:
        for nodes in NODES:
            seconds, bottleneck = estimate(costs, members, nodes)
            lines.append(f"| {members:,} | {nodes} | {duration(seconds)} | {bottleneck} |")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return ``90 s``, ``12 min`` or ``1.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """Print the table for the costs given as options."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Costs):
        required = field.name not in ("slots", "gigabits")
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=int if field.name == "slots" else float,
            required=required,
            default=None if required else field.default,
        )
    print(table(Costs(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
