// The drawing area. Strokes of mouse, pen and fingers are stored as points from 0 to 1, so that
// they can be undone, redrawn at any size, and sent at the same size from every screen.

const SENT_SIDE = 168; // pixels per side of the sent image: six per pixel of the network's input

export class DrawingPad {
  brush = 0.07; // stroke width as a fraction of the side
  erasing = false; // whether strokes remove ink
  locked = false; // whether nothing can be drawn
  onStart = () => {}; // before a stroke begins
  onChange = () => {}; // a stroke became longer
  onEnd = () => {}; // a stroke ended

  #canvas;
  #context;
  #sent = makeSheet();
  #strokes = [];
  #undone = []; // strokes to redo, the last one first
  #active = new Map(); // pointer id → its unfinished stroke

  /** Draw on `canvas`; a stroke may begin anywhere in `reach`, an element around it. */
  constructor(canvas, reach) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    let outside = false; // whether the pressed pointer came from elsewhere on the page
    document.addEventListener("pointerdown", ({ target }) => {
      outside = !reach.contains(target) && !target.closest("a, button, input, label, select");
    });
    reach.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointerenter", (event) => {
      if (outside && event.buttons & 1) this.#down(event);
    });
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(type, (event) => this.#up(event));
    }
    // Long presses and pen buttons must not open a menu over the drawing.
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    // A fast stroke is no fling, which would make the browser ignore a tap on Done right after it.
    canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  get strokes() {
    return [...this.#strokes];
  }

  set strokes(strokes) {
    this.#undone = [];
    this.#replace([...strokes]);
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  undo() {
    this.#undone.push(this.#strokes.at(-1));
    this.#replace(this.#strokes.slice(0, -1));
  }

  redo() {
    this.#replace([...this.#strokes, this.#undone.pop()]);
  }

  /** Return a promise of the drawing as a PNG, black on white. */
  toBlob() {
    fillBehind(this.#sent);
    return new Promise((resolve) => this.#sent.canvas.toBlob(resolve, "image/png"));
  }

  #replace(strokes) {
    this.#active.clear();
    this.#strokes = strokes;
    this.#redraw();
  }

  #down(event) {
    if (this.locked || event.button > 0 || this.#isPalm(event) || this.#active.has(event.pointerId)) return;
    if (this.erasing && this.empty) return;
    this.onStart();
    this.#undone = [];
    getSelection().removeAllRanges(); // of text, where the stroke began
    try {
      this.#canvas.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is already gone: its stroke is a dot.
    }
    const stroke = { width: this.brush * (this.erasing ? 2 : 1), erase: this.erasing, points: [] };
    this.#active.set(event.pointerId, { stroke, pen: event.pointerType === "pen" });
    this.#strokes.push(stroke);
    this.#extend(stroke, [event]);
  }

  #move(event) {
    const active = this.#active.get(event.pointerId);
    if (!active) return;
    const coalesced = event.getCoalescedEvents?.() ?? [];
    this.#extend(active.stroke, coalesced.length ? coalesced : [event]);
  }

  #up(event) {
    const active = this.#active.get(event.pointerId);
    if (!active) return;
    this.#active.delete(event.pointerId);
    for (const context of [this.#context, this.#sent]) drawEnd(context, active.stroke);
    this.onEnd();
  }

  /** Return whether this touch is a hand that rests on the screen while the pen draws. */
  #isPalm(event) {
    return event.pointerType === "touch" && [...this.#active.values()].some(({ pen }) => pen);
  }

  #extend(stroke, events) {
    const box = this.#canvas.getBoundingClientRect();
    const drawn = stroke.points.length;
    for (const event of events) {
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      stroke.points.push([x, y]);
    }
    for (const context of [this.#context, this.#sent]) drawFrom(context, stroke, drawn);
    this.onChange();
  }

  #resize() {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    if (!side || this.#canvas.width === side) return;
    this.#canvas.width = this.#canvas.height = side;
    this.#redraw();
  }

  #redraw() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#sent = makeSheet();
    for (const context of [this.#context, this.#sent]) drawStrokes(context, this.#strokes);
  }
}

/** Draw complete strokes onto a square canvas. */
export function drawStrokes(context, strokes) {
  for (const stroke of strokes) {
    drawFrom(context, stroke, 0);
    drawEnd(context, stroke);
  }
}

function makeSheet() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SENT_SIDE;
  // It is read after each stroke: keep it in memory instead of on the graphics card.
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** Put white paper behind the strokes. */
function fillBehind(context) {
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
}

/** Draw a stroke from point `start` on, as curves through the midpoints between its points. */
function drawFrom(context, { width, points, erase }, start) {
  const side = context.canvas.width;
  const at = (k) => [points[k][0] * side, points[k][1] * side];
  const midpoint = (k) => {
    const [[ax, ay], [bx, by]] = [at(k - 1), at(k)];
    return [(ax + bx) / 2, (ay + by) / 2];
  };
  setPen(context, width * side, erase);
  if (start === 0) {
    context.beginPath();
    context.arc(...at(0), (width * side) / 2, 0, 2 * Math.PI);
    context.fill();
  }
  const first = Math.max(1, start);
  if (first >= points.length) return;
  context.beginPath();
  context.moveTo(...(first === 1 ? at(0) : midpoint(first - 1)));
  for (let k = first; k < points.length; k++) {
    if (k === 1) context.lineTo(...midpoint(1));
    else context.quadraticCurveTo(...at(k - 1), ...midpoint(k));
  }
  context.stroke();
}

/** Draw from the last midpoint, where drawFrom stops, to the last point. */
function drawEnd(context, { width, points, erase }) {
  if (points.length < 2) return;
  const side = context.canvas.width;
  const [[ax, ay], [bx, by]] = points.slice(-2);
  setPen(context, width * side, erase);
  context.beginPath();
  context.moveTo(((ax + bx) / 2) * side, ((ay + by) / 2) * side);
  context.lineTo(bx * side, by * side);
  context.stroke();
}

function setPen(context, width, erase) {
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.fillStyle = context.strokeStyle = "black";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = width;
}
