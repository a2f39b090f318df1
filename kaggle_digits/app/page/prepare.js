// Prepare a drawing on the sheet as kaggle_digits/imaging does: background.py, segmentation.py. Only
// black strokes on white are expected here; the constants are explained there.

const INK = 0.5;
const FAINT_INK = 0.2;
const MIN_INK = 0.04, MAX_GAP = 0.35;
const MIN_FRAMED = 0.2;
const OTHER_HEIGHT = 0.55, OTHER_INK = 0.3;
const MAX_BREAK = 0.15;
const MIN_INSIDE_INK = 0.2, MIN_INSIDE_SIZE = 0.4, MAX_RIM_GAP = 0.05;
const MAX_ASPECT = 1.6;
const WINDOW = 0.15;
const BOX = 20, SIDE = 28, SUPERSAMPLING = 4;
const MIN_STROKE = 2.2, MAX_STROKE = 4.2;
const MIN_CONTRAST = 0.07, FULL_INK_PIXELS = 28; // one in a thousand of 168 × 168
const SPECK = 2;
export const NO_DIGIT = "no digit found", SEVERAL_DIGITS = "looks like more than one digit";

/** A grid of numbers by rows. */
class Grid {
  constructor(width, height, data = new Float32Array(width * height)) {
    Object.assign(this, { width, height, data });
  }

  /** Make a grid of `at(x, y)`. */
  static of(width, height, at) {
    const grid = new Grid(width, height);
    for (let y = 0, k = 0; y < height; y++) {
      for (let x = 0; x < width; x++) grid.data[k++] = at(x, y);
    }
    return grid;
  }

  /** Return the value at x, y; 0 outside. */
  at(x, y) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height ? this.data[y * this.width + x] : 0;
  }

  map(change) {
    return new Grid(this.width, this.height, this.data.map(change));
  }

  pad(margin) {
    return Grid.of(this.width + 2 * margin, this.height + 2 * margin, (x, y) => this.at(x - margin, y - margin));
  }

  transposed() {
    return Grid.of(this.height, this.width, (x, y) => this.at(y, x));
  }
}

/** Prepare the RGBA pixels of a square drawing of 168 pixels. Return the network's 28 × 28 input, 0
 *  background to 255 ink, and the note "", NO_DIGIT or SEVERAL_DIGITS. */
export function prepare({ width, height, data }) {
  const none = { image: new Uint8Array(SIDE * SIDE), note: NO_DIGIT };
  const darkness = Grid.of(width, height, (x, y) => {
    const k = 4 * (y * width + x);
    return 1 - (0.299 * data[k] + 0.587 * data[k + 1] + 0.114 * data[k + 2]) / 255;
  });
  const darkest = darkness.data.toSorted().subarray(-FULL_INK_PIXELS);
  const fullInk = sum(darkest) / darkest.length;
  if (fullInk < MIN_CONTRAST) return none;
  const digit = segmentDigit(darkness.map((value) => Math.min(value / fullInk, 1)));
  if (!digit) return none;
  return { image: renderLikeMnist(digit.ink), note: digit.several ? SEVERAL_DIGITS : "" };
}

// ---- the digit -------------------------------------------------------------------------------

/** Return the ink of the digit with a margin of one pixel, and whether there are several. */
function segmentDigit(ink) {
  const { labels, parts } = findParts(ink);
  if (!parts.length) return null;
  const longest = Math.max(ink.width, ink.height);
  for (const part of parts) {
    const { left, top, right, bottom } = part;
    const first = [left <= 1, top <= 1], last = [right >= ink.width - 1, bottom >= ink.height - 1];
    part.height = bottom - top;
    part.longer = Math.max(part.height, right - left);
    part.inside = ![...first, ...last].some(Boolean);
    part.spans = first.some((start, axis) => start && last[axis]);
    part.surrounds = [...first, ...last].every(Boolean);
  }
  // A frame surrounds a digit; a digit that was cut out surrounds only specks.
  if (parts.some((part) => part.inside && part.longer >= MIN_FRAMED * longest)) {
    for (const part of parts) if (part.surrounds) part.weight = 0;
  }
  let main = heaviest(parts);
  if (!main.inside && !main.spans) {
    // It may be a neighbour of the digit.
    const rivals = parts.filter(
      (part) => part.inside && part.weight >= MIN_INSIDE_INK * main.weight && part.longer >= MIN_INSIDE_SIZE * main.longer,
    );
    if (rivals.length) main = heaviest(rivals);
  }
  const own = new Set();
  let several = false;
  for (const part of parts) {
    const across = Math.max(part.left - main.right, main.left - part.right);
    const gap = Math.max(across, part.top - main.bottom, main.top - part.bottom);
    const ratio = part.weight / main.weight;
    const isStacked = across < 0 && gap <= MAX_BREAK * main.longer;
    const isOther =
      gap > 0 && !isStacked && ratio >= OTHER_INK &&
      part.longer >= OTHER_HEIGHT * main.longer && part.height >= OTHER_HEIGHT * main.height;
    const isFragment = !part.inside && main.inside && gap > MAX_RIM_GAP * main.longer;
    const belongs = !isOther && !isFragment && ratio >= MIN_INK && gap <= MAX_GAP * main.longer;
    if (belongs || part === main) own.add(part);
    several ||= isOther;
  }
  const [left, top] = ["left", "top"].map((side) => Math.min(...[...own].map((part) => part[side])));
  const [right, bottom] = ["right", "bottom"].map((side) => Math.max(...[...own].map((part) => part[side])));
  if (Math.max(right - left, bottom - top) <= SPECK) return null;
  several ||= right - left > MAX_ASPECT * (bottom - top);
  const numbers = new Set([...own].map((part) => part.number));
  return { ink: cutOut(ink, labels, numbers, left, top, right, bottom), several };
}

/** Return the labels of the connected ink, and its parts that contain full ink. */
function findParts(ink) {
  const { width, height, data } = ink;
  const labels = new Grid(width, height, new Int32Array(data.length));
  const parts = [];
  let number = 0;
  data.forEach((value, start) => {
    if (value <= FAINT_INK || labels.data[start]) return;
    const part = { number: ++number, left: width, top: height, right: 0, bottom: 0, weight: 0 };
    let isStrong = false;
    const stack = [start];
    labels.data[start] = number;
    while (stack.length) {
      const k = stack.pop();
      const x = k % width, y = Math.floor(k / width);
      part.left = Math.min(part.left, x);
      part.top = Math.min(part.top, y);
      part.right = Math.max(part.right, x + 1);
      part.bottom = Math.max(part.bottom, y + 1);
      part.weight += data[k];
      isStrong ||= data[k] > INK;
      for (let down = -1; down <= 1; down++) {
        for (let across = -1; across <= 1; across++) {
          const next = k + down * width + across;
          if (ink.at(x + across, y + down) <= FAINT_INK || labels.data[next]) continue;
          labels.data[next] = number;
          stack.push(next);
        }
      }
    }
    if (isStrong) parts.push(part);
  });
  return { labels, parts };
}

/** Cut out the parts `numbers` of the ink with a margin of one pixel, evenly dark. */
function cutOut(ink, labels, numbers, left, top, right, bottom) {
  const isOwn = (x, y) => x >= left && y >= top && x < right && y < bottom && numbers.has(labels.at(x, y));
  const isFree = (x, y) => x < left || y < top || x >= right || y >= bottom || !labels.at(x, y);
  const around = [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((across) => [across, down]));
  const cropped = Grid.of(right - left + 2, bottom - top + 2, (column, row) => {
    const x = left + column - 1, y = top + row - 1;
    // The soft edge of a stroke is below the threshold but belongs to it.
    const isSoft = isFree(x, y) && around.some(([across, down]) => isOwn(x + across, y + down));
    return isOwn(x, y) || isSoft ? ink.at(x, y) : 0;
  });
  const window = Math.max(3, round(WINDOW * Math.max(cropped.width, cropped.height)));
  const brightest = filter(cropped, window, maximum);
  const smooth = filter(brightest, window, mean);
  return cropped.map((value, k) => Math.min(value / Math.max(smooth.data[k], FAINT_INK), 1));
}

/** Combine the values of a window of `size` pixels along both axes, reflected at the edges. */
function filter(grid, size, combine) {
  const alongRows = (rows) => {
    const { width, height } = rows;
    const period = 2 * width;
    const columns = Array.from({ length: width + size - 1 }, (_, k) => {
      const position = (((k - (size >> 1)) % period) + period) % period;
      return Math.min(position, period - 1 - position);
    });
    const lines = Array.from({ length: height }, (_, y) => columns.map((x) => rows.at(x, y)));
    return Grid.of(width, height, (x, y) => combine(lines[y], x, x + size));
  };
  return alongRows(alongRows(grid.transposed()).transposed());
}

function maximum(values, start, stop) {
  let largest = values[start];
  for (let k = start + 1; k < stop; k++) if (values[k] > largest) largest = values[k];
  return largest;
}

function mean(values, start, stop) {
  let total = 0;
  for (let k = start; k < stop; k++) total += values[k];
  return total / (stop - start);
}

// ---- 28 × 28 pixels --------------------------------------------------------------------------

/** Draw the digit with strokes of a usual width into 28 × 28 pixels. */
function renderLikeMnist(ink) {
  const fine = resize(ink, BOX * SUPERSAMPLING).pad(2 * SUPERSAMPLING);
  const inner = distances(fine, (value) => value <= INK);
  const outer = distances(fine, (value) => value > INK);
  const depth = fine.map((value, k) => (value > INK ? inner[k] - 0.5 : 0.5 - outer[k]));
  const depths = depth.data.filter((_, k) => fine.data[k] > INK);
  const width = depths.length ? (4 * sum(depths)) / depths.length / SUPERSAMPLING : MIN_STROKE;
  const wanted = Math.min(Math.max(width, MIN_STROKE), MAX_STROKE);
  const grow = (SUPERSAMPLING * (wanted - width)) / 2;
  const clip = (value) => Math.min(Math.max(value, 0), 1);
  let strokes = depth.map((value) => clip((value + grow) / SUPERSAMPLING + 0.5));
  if (!strokes.data.some((value) => value > INK)) strokes = fine;
  const [left, right] = extent(strokes), [top, bottom] = extent(strokes.transposed());
  const box = Grid.of(right - left, bottom - top, (x, y) => strokes.at(x + left, y + top));
  return centerByMass(resize(box, BOX));
}

/** Return the first column with ink, and the one after the last. */
function extent({ width, data }) {
  const columns = [...data.keys()].filter((k) => data[k] > 0.1).map((k) => k % width);
  return [Math.min(...columns), Math.max(...columns) + 1];
}

function centerByMass(grid) {
  const total = sum(grid.data) || 1;
  const start = ({ width, data }) => {
    const centre = data.reduce((moment, value, k) => moment + value * (k % width), 0) / total;
    return Math.min(Math.max(round(SIDE / 2 - centre), 0), SIDE - width);
  };
  const left = start(grid), top = start(grid.transposed());
  const placed = Grid.of(SIDE, SIDE, (x, y) => grid.at(x - left, y - top));
  return Uint8Array.from(placed.data, (value) => round(255 * value));
}

/** Return the distance of each pixel to the nearest one that is a `target`. */
function distances({ width, height, data }, target) {
  // The least square distance to a position, plus the value there, along one axis.
  const spread = (values) =>
    values.map((_, k) => {
      let least = Infinity;
      for (let other = 0; other < values.length; other++) {
        const square = (k - other) * (k - other) + values[other];
        if (square < least) least = square;
      }
      return least;
    });
  const zero = (k) => (target(data[k]) ? 0 : Infinity);
  const column = (x) => Array.from({ length: height }, (_, y) => zero(y * width + x));
  const columns = Array.from({ length: width }, (_, x) => spread(column(x)));
  const rows = Array.from({ length: height }, (_, y) => spread(columns.map((one) => one[y])));
  return rows.flat().map(Math.sqrt);
}

/** Scale the longer side to `longest` pixels as Pillow does: bicubic, or means if much smaller. */
function resize(grid, longest) {
  const factor = longest / Math.max(grid.width, grid.height);
  const [kernel, support] = factor < 0.5 ? [boxKernel, 0.5] : [bicubicKernel, 2];
  const alongRows = (rows) => {
    const width = Math.max(1, round(rows.width * factor));
    const scale = rows.width / width, stretch = Math.max(scale, 1);
    const columns = Array.from({ length: width }, (_, x) => {
      const centre = (x + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - support * stretch + 0.5));
      const last = Math.min(rows.width, Math.trunc(centre + support * stretch + 0.5));
      const weights = Array.from({ length: last - first }, (_, k) => kernel((k + first - centre + 0.5) / stretch));
      const total = sum(weights);
      return { first, weights: weights.map((weight) => weight / total) };
    });
    return Grid.of(width, rows.height, (x, y) => {
      const { first, weights } = columns[x];
      return weights.reduce((value, weight, k) => value + weight * rows.at(first + k, y), 0);
    });
  };
  const resized = alongRows(alongRows(grid).transposed()).transposed();
  return resized.map((value) => Math.min(Math.max(value, 0), 1));
}

function boxKernel(x) {
  return x > -0.5 && x <= 0.5 ? 1 : 0;
}

function bicubicKernel(signed) {
  const x = Math.abs(signed), a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const heaviest = (parts) => parts.reduce((best, part) => (part.weight > best.weight ? part : best));

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Round half to even, as Python does. */
function round(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
