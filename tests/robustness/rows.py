"""What a part of the torture reports: a row for each thing that was tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One thing that was tried.

    Attributes:
        part: whose it is, as ``wire``.
        tried: in a few words, as ``train.csv dropped at a random byte``.
        times: how often.
        bad: how often it ended otherwise than it must: something lost, half written, sent twice,
            let in, not explained, not in time.
        figures: what was measured beside, in a few words; may be empty.
    """

    part: str
    tried: str
    times: int
    bad: int
    figures: str = ""


def markdown(rows: list[Row]) -> str:
    """The table, and a last line that sums it up."""
    lines = ["| part | what was tried | times | bad | figures |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.part} | {r.tried} | {r.times:,} | {r.bad} | {r.figures} |" for r in rows]
    times, bad = sum(row.times for row in rows), sum(row.bad for row in rows)
    return "\n".join([*lines, f"\n{times:,} tries, {bad} of them bad"])
