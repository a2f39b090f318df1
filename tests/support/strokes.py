"""Ten handwritten digits as strokes: lists of points (x, y) from 0 to 1, y downwards."""

from __future__ import annotations

import math

Points = list[tuple[float, float]]


def arc(x: float, y: float, rx: float, ry: float, *degrees: float) -> Points:
    """Return points of an elliptical arc; at 0 degrees is the right, at 90 the bottom."""
    start, stop = degrees
    steps = max(4, round(abs(stop - start) / 30))  # each point is an event in the browser
    angles = [math.radians(start + (stop - start) * k / steps) for k in range(steps + 1)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


DIGITS: list[list[Points]] = [
    [arc(0.5, 0.5, 0.2, 0.3, -80, 285)],
    [[(0.44, 0.28), (0.54, 0.2), (0.52, 0.5), (0.51, 0.8)]],
    [[*arc(0.5, 0.36, 0.18, 0.16, 190, 380), (0.55, 0.6), (0.32, 0.78), (0.5, 0.76), (0.72, 0.78)]],
    [[*arc(0.48, 0.35, 0.16, 0.14, 205, 440), *arc(0.48, 0.64, 0.18, 0.16, -85, 150)]],
    [[(0.38, 0.2), (0.32, 0.52), (0.68, 0.5)], [(0.64, 0.22), (0.62, 0.5), (0.6, 0.82)]],
    [
        [(0.38, 0.22), (0.36, 0.47), *arc(0.47, 0.62, 0.17, 0.17, -110, 140)],
        [(0.38, 0.22), (0.66, 0.2)],
    ],
    [[(0.6, 0.18), (0.44, 0.36), (0.37, 0.56), *arc(0.5, 0.64, 0.15, 0.16, 190, 540)]],
    [[(0.3, 0.24), (0.5, 0.22), (0.69, 0.22), (0.6, 0.45), (0.48, 0.82)]],
    [[*arc(0.5, 0.34, 0.13, 0.14, 60, -240), *arc(0.5, 0.64, 0.16, 0.17, -110, 250), (0.57, 0.46)]],
    [[*arc(0.49, 0.36, 0.15, 0.16, 0, -350), (0.64, 0.4), (0.61, 0.6), (0.55, 0.83)]],
]
