// The sheet one draws on: strokes of mouse, pen and fingers, kept as lines so that they can be
// undone, drawn again at any size, and sent at one size whatever the screen.

const SENT = 168; // pixels a side of what is sent: six for each that the network sees

export class Pad {
  brush = 0.07; // share of a side
  begun = () => {}; // a stroke is about to begin
  changed = () => {}; // there is more or less ink
  lifted = () => {}; // a stroke has ended

  #canvas;
  #context;
  #sent = sheet();
  #strokes = [];
  #open = new Map(); // pointer → its unfinished stroke

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => this.#up(event));
    }
    // Long presses and pen buttons must not open menus over the drawing.
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  get strokes() {
    return [...this.#strokes];
  }

  set strokes(strokes) {
    this.#open.clear();
    this.#strokes = [...strokes];
    this.#redraw();
  }

  undo() {
    this.strokes = this.#strokes.slice(0, -1);
  }

  /** The drawing as a PNG, black on white. */
  picture() {
    return new Promise((done) => this.#sent.canvas.toBlob(done, "image/png"));
  }

  #down(event) {
    if (event.button !== 0 || this.#isPalm(event)) return;
    this.begun();
    try {
      this.#canvas.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is gone already: its line ends where it began.
    }
    const stroke = { width: this.brush, points: [] };
    this.#open.set(event.pointerId, { stroke, pen: event.pointerType === "pen" });
    this.#strokes.push(stroke);
    this.#lengthen(stroke, [event]);
  }

  #move(event) {
    const open = this.#open.get(event.pointerId);
    if (!open) return;
    const between = event.getCoalescedEvents?.() ?? [];
    this.#lengthen(open.stroke, between.length ? between : [event]);
  }

  #up(event) {
    const open = this.#open.get(event.pointerId);
    if (!open) return;
    this.#open.delete(event.pointerId);
    for (const context of [this.#context, this.#sent]) finish(context, open.stroke);
    this.lifted();
  }

  /** Whether this is the hand that rests on the screen while its pen writes. */
  #isPalm(event) {
    return event.pointerType === "touch" && [...this.#open.values()].some((open) => open.pen);
  }

  #lengthen(stroke, events) {
    const box = this.#canvas.getBoundingClientRect();
    const before = stroke.points.length;
    for (const event of events) {
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      stroke.points.push([x, y]);
    }
    for (const context of [this.#context, this.#sent]) trace(context, stroke, before);
    this.changed();
  }

  #fit() {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (!side || this.#canvas.width === side) return;
    this.#canvas.width = this.#canvas.height = side;
    this.#redraw();
  }

  #redraw() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#sent = sheet();
    for (const context of [this.#context, this.#sent]) drawAll(context, this.#strokes);
  }
}

/** Draw whole strokes over the whole of a square canvas. */
export function drawAll(context, strokes) {
  for (const stroke of strokes) {
    trace(context, stroke, 0);
    finish(context, stroke);
  }
}

function sheet() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SENT;
  // Read back after each stroke: kept in memory, not on the graphics card.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, SENT, SENT);
  return context;
}

/** Draw a stroke from its point `from` on: curves through the middles between its points. */
function trace(context, { width, points }, from) {
  const side = context.canvas.width;
  const place = (k) => [points[k][0] * side, points[k][1] * side];
  const middle = (k) => {
    const [[ax, ay], [bx, by]] = [place(k - 1), place(k)];
    return [(ax + bx) / 2, (ay + by) / 2];
  };
  pick(context, width * side);
  if (from === 0) {
    context.beginPath();
    context.arc(...place(0), (width * side) / 2, 0, 2 * Math.PI);
    context.fill();
  }
  const first = Math.max(1, from);
  if (first >= points.length) return;
  context.beginPath();
  context.moveTo(...(first === 1 ? place(0) : middle(first - 1)));
  for (let k = first; k < points.length; k++) {
    if (k === 1) context.lineTo(...middle(1));
    else context.quadraticCurveTo(...place(k - 1), ...middle(k));
  }
  context.stroke();
}

/** The last half step, which trace leaves open for the next point. */
function finish(context, { width, points }) {
  if (points.length < 2) return;
  const side = context.canvas.width;
  const [[ax, ay], [bx, by]] = points.slice(-2);
  pick(context, width * side);
  context.beginPath();
  context.moveTo(((ax + bx) / 2) * side, ((ay + by) / 2) * side);
  context.lineTo(bx * side, by * side);
  context.stroke();
}

function pick(context, width) {
  context.fillStyle = context.strokeStyle = "black";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = width;
}
