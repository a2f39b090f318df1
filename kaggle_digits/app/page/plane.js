// The bottleneck study's plane: other digits as points, and where one's own stands among them.

// Colours that stay apart for colour-blind eyes (M. A. Petroff, arXiv:2107.02270), as in every
// picture that kd draws.
const COLOURS = [
  ...["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"],
  ...["#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"],
];
const SIDE = 400;
const RIM = 26; // free space round the points, where those far out are kept
const TRAIL = 24; // places that the ring was at
const SVG = "http://www.w3.org/2000/svg";

export class PlaneView {
  #svg;
  #scale;
  #trail;
  #ring;
  #places = [];

  /** Draw `points`, rows of x, y, label, into `svg`. */
  constructor(svg, points) {
    this.#svg = svg;
    this.#scale = [0, 1].map((axis) => scale(points.map((point) => point[axis])));
    const dots = make("g", { class: "dots" });
    for (const [x, y, label] of points) {
      const [cx, cy] = this.#at([x, y]);
      dots.append(make("circle", { cx, cy, r: 2.4, fill: COLOURS[label] }));
    }
    const names = make("g", { class: "names" });
    for (const label of new Set(points.map((point) => point[2]))) {
      const own = points.filter((point) => point[2] === label);
      const [x, y] = this.#at([0, 1].map((axis) => quantile(own.map((p) => p[axis]), 0.5)));
      const name = make("text", { x, y });
      name.textContent = label;
      names.append(name);
    }
    this.#trail = make("polyline", { class: "trail" });
    this.#ring = make("g", { class: "ring", visibility: "hidden" });
    this.#ring.append(make("circle", { r: 13, class: "rim" }), make("circle", { r: 13 }));
    svg.replaceChildren(dots, names, this.#trail, this.#ring);
  }

  /** Move the ring to `place`, or hide it where that is null. */
  move(place) {
    if (!place) {
      this.leave();
      return;
    }
    const [x, y] = this.#at(place);
    this.#places = [...this.#places, [x, y]].slice(-TRAIL);
    this.#trail.setAttribute("points", this.#places.map((at) => at.join(",")).join(" "));
    this.#ring.style.transform = `translate(${x}px, ${y}px)`;
    this.#ring.setAttribute("visibility", "visible");
  }

  /** Take the ring and its trail away: the next drawing begins anew. */
  leave() {
    this.#places = [];
    this.#trail.removeAttribute("points");
    this.#ring.setAttribute("visibility", "hidden");
  }

  #at([x, y]) {
    const keep = (value) => Math.min(Math.max(value, RIM / 2), SIDE - RIM / 2);
    return [keep(this.#scale[0](x)), keep(SIDE - this.#scale[1](y))].map((v) => +v.toFixed(1));
  }
}

/** From a plane's number to a place in the picture; the farthest few do not squeeze the rest. */
function scale(values) {
  const [low, high] = [quantile(values, 0.004), quantile(values, 0.996)];
  return (value) => RIM + ((value - low) / (high - low || 1)) * (SIDE - 2 * RIM);
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))];
}

function make(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
