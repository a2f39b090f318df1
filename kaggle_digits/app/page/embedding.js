// The embedding of the bottleneck study: held-out digits as points, and a ring for the drawing.

import { makeElement } from "./picture.js";

// Distinguishable with colour blindness (M. A. Petroff, arXiv:2107.02270); the same colours as in
// the figures of kd.
const COLORS = [
  ...["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"],
  ...["#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"],
];
const SIDE = 400;
const MARGIN = 26; // outliers are drawn inside the margin
const TRAIL_LENGTH = 24; // earlier positions of the ring

export class EmbeddingView {
  #scales;
  #trail;
  #ring;
  #positions = [];

  /** Draw `points`, an array of [x, y, label], into `svg`. */
  constructor(svg, points) {
    this.#scales = [0, 1].map((axis) => makeScale(points.map((point) => point[axis])));
    const dots = makeElement("g", { class: "dots" });
    for (const [x, y, label] of points) {
      const [cx, cy] = this.#toPixels([x, y]);
      dots.append(makeElement("circle", { cx, cy, r: 2.4, fill: COLORS[label] }));
    }
    const names = makeElement("g", { class: "names" });
    for (const label of new Set(points.map((point) => point[2]))) {
      const own = points.filter((point) => point[2] === label);
      const medians = [0, 1].map((axis) => quantile(own.map((point) => point[axis]), 0.5));
      const [x, y] = this.#toPixels(medians);
      const name = makeElement("text", { x, y });
      name.textContent = label;
      names.append(name);
    }
    this.#trail = makeElement("polyline", { class: "trail" });
    this.#ring = makeElement("g", { class: "ring", visibility: "hidden" });
    const rim = makeElement("circle", { r: 13, class: "rim" });
    this.#ring.append(rim, makeElement("circle", { r: 13 }));
    svg.replaceChildren(dots, names, this.#trail, this.#ring);
  }

  /** Move the ring to [x, y]; hide it if `position` is null. */
  move(position) {
    if (!position) {
      this.clear();
      return;
    }
    const [x, y] = this.#toPixels(position);
    this.#positions = [...this.#positions, [x, y]].slice(-TRAIL_LENGTH);
    this.#trail.setAttribute("points", this.#positions.map((pair) => pair.join(",")).join(" "));
    this.#ring.style.transform = `translate(${x}px, ${y}px)`;
    this.#ring.setAttribute("visibility", "visible");
  }

  /** Hide the ring and its trail. */
  clear() {
    this.#positions = [];
    this.#trail.removeAttribute("points");
    this.#ring.setAttribute("visibility", "hidden");
  }

  #toPixels([x, y]) {
    const clip = (value) => Math.min(Math.max(value, MARGIN / 2), SIDE - MARGIN / 2);
    const pixels = [this.#scales[0](x), SIDE - this.#scales[1](y)];
    return pixels.map((value) => +clip(value).toFixed(1));
  }
}

/** Return a function from values to pixels; quantiles, so that outliers do not squeeze the rest. */
function makeScale(values) {
  const [low, high] = [quantile(values, 0.004), quantile(values, 0.996)];
  return (value) => MARGIN + ((value - low) / (high - low || 1)) * (SIDE - 2 * MARGIN);
}

function quantile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(fraction * (sorted.length - 1))];
}
