"""From measured costs to the time that many members take on many nodes, and what holds them up.

    python -m benchmarks.plan --training 200 --starting 8 ...

The model: a node trains ``places`` members at a time, one core each; every node fetches the data
once, from one that has them, over a network of ``gigabits`` a second; the driver takes results
over the same network, writes them one by one, and puts all together at the end. What the driver
does goes on while the nodes train, so that the slower of the two decides.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields

MEMBERS, NODES = (15, 150, 1_500), (1, 10, 100)


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds and MB.

    Attributes:
        training: of one member on one core.
        starting: a process and TensorFlow, for each member.
        data_mb: images that every node needs.
        putting: them into the driver's store.
        result_mb: what comes back of a member.
        connecting: the driver to the cluster.
        keeping: the driver writes a member's files.
        assembling: a member's share of putting all together.
        places: members at a time on a node.
        gigabits: of the network, a second: assumed, not measured.
    """

    training: float
    starting: float
    data_mb: float
    putting: float
    result_mb: float
    connecting: float
    keeping: float
    assembling: float
    places: int = 2
    gigabits: float = 1.0

    def sending(self, megabytes: float) -> float:
        """Seconds that so much takes over the network."""
        return megabytes * 8e6 / (self.gigabits * 1e9)


def seconds(costs: Costs, members: int, nodes: int) -> tuple[float, str]:
    """How long ``members`` take on ``nodes``, and what decides it."""
    rounds = math.ceil(members / (nodes * costs.places))
    computing = rounds * (costs.training + costs.starting)
    # Nodes pass the data on to each other, so their number doubles each time it is sent.
    spreading = math.ceil(math.log2(nodes + 1)) * costs.sending(costs.data_mb)
    driver = members * (costs.keeping + costs.sending(costs.result_mb))
    total = costs.connecting + costs.putting + spreading + members * costs.assembling
    if driver > computing:
        return total + driver, "the driver: receiving and writing results"
    idle = 1 - members / (rounds * nodes * costs.places)
    if members < nodes * costs.places:
        return total + computing, f"one member's length; {idle:.0%} of the places are idle"
    share = costs.training / (costs.training + costs.starting)
    words = f"training itself, {share:.0%}" if share > 0.5 else f"starting, {1 - share:.0%}"
    return total + computing, words


def table(costs: Costs) -> str:
    """Markdown: a row for each number of members and nodes."""
    lines = ["| members | nodes | time | held up by |", "| --- | --- | --- | --- |"]
    for members in MEMBERS:
        for nodes in NODES:
            taken, bottleneck = seconds(costs, members, nodes)
            lines.append(f"| {members:,} | {nodes} | {spoken(taken)} | {bottleneck} |")
    return "\n".join(lines)


def spoken(taken: float) -> str:
    """``90 s``, ``12 min`` or ``1.5 h``."""
    if taken < 120:
        return f"{taken:.0f} s"
    return f"{taken / 60:.0f} min" if taken < 7200 else f"{taken / 3600:.1f} h"


def main() -> None:
    """Print the table for costs given by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Costs):
        needed = field.name not in ("places", "gigabits")
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=int if field.name == "places" else float,
            required=needed,
            default=None if needed else field.default,
        )
    print(table(Costs(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
