// The page: what is on the sheet, which run reads it, and what happens when one does something.

import { Asking, call } from "./asking.js";
import { Pad } from "./pad.js";
import { PlaneView } from "./plane.js";
import { percent, ReadingView, sentence } from "./reading.js";
import { Strip } from "./strip.js";

const MOST_BYTES = 10_000_000;

const $ = (id) => document.getElementById(id);
const pad = new Pad($("pad"));
const view = new ReadingView();
const asking = new Asking();
const strip = new Strip($("strip"), $("none-earlier"));

let picture = null; // { file, url } where a picture lies on the sheet instead of ink
let reading = null; // the newest answer about what is on the sheet
let cleared = false; // whether undo would bring back what was just cleared
let plane = null;

// ---- what is on the sheet --------------------------------------------------------------------

const isEmpty = () => pad.empty && !picture;

function ask(final) {
  if (isEmpty()) return;
  const source = picture ? async () => picture.file : () => pad.picture();
  asking.ask({ picture: source, run: $("run").value, final });
}

/** Empty the sheet; what was on it goes to the strip if `keep`. */
function empty(keep) {
  if (keep && !isEmpty()) {
    strip.add({ ...(picture ?? { strokes: pad.strokes }), reading });
  } else if (picture) {
    URL.revokeObjectURL(picture.url);
  }
  asking.forget();
  plane?.leave();
  pad.strokes = [];
  picture = reading = null;
  $("picture").hidden = true;
  complain("");
  view.blank();
  refresh();
}

function clear() {
  if (isEmpty()) return;
  empty(true);
  cleared = true;
}

function undo() {
  if (picture) {
    clear();
  } else if (!pad.empty) {
    pad.undo();
    if (pad.empty) empty(false);
    else ask(true);
    refresh();
  } else if (cleared && strip.length) {
    bringBack(strip.take());
  }
}

function bringBack(work) {
  empty(true);
  cleared = false;
  if (work.url) put(work);
  else pad.strokes = work.strokes;
  refresh();
  ask(true);
}

function put({ file, url }) {
  picture = { file, url };
  $("picture").src = url;
  $("picture").hidden = false;
}

function open(file) {
  if (file.size > MOST_BYTES) {
    complain("that picture is larger than 10 MB; choose a smaller one");
    return;
  }
  empty(true);
  cleared = false;
  put({ file, url: URL.createObjectURL(file) });
  refresh();
  ask(true);
}

function refresh() {
  $("paper").classList.toggle("used", !isEmpty());
  $("clear").setAttribute("aria-disabled", isEmpty());
  $("undo").setAttribute("aria-disabled", isEmpty() && !(cleared && strip.length));
}

function complain(text) {
  $("trouble").textContent = sentence(text);
  $("trouble").hidden = !text;
}

pad.begun = () => {
  if (picture) empty(true);
  cleared = false;
};
pad.changed = () => {
  refresh();
  ask(false);
};
pad.lifted = () => ask(true);
strip.chosen = (work) => {
  bringBack(strip.take(work));
  $("pad").focus({ preventScroll: true });
};

asking.answered = (found) => {
  reading = found;
  complain("");
  view.show(found);
  plane?.move(found.plane);
};
asking.failed = (error) => {
  if (error.refused && picture) empty(false);
  reading = null;
  complain(error.message);
  view.blank("No answer");
  plane?.leave();
};
asking.busy = (yes) => $("answer").setAttribute("aria-busy", yes);
asking.slow = (yes) => $("answer").classList.toggle("waiting", yes);

// ---- buttons, keys, files --------------------------------------------------------------------

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
$("run").addEventListener("change", () => ask(true));
$("brush").addEventListener("input", brush);
$("upload").addEventListener("change", () => {
  const [file] = $("upload").files;
  if (file) open(file);
  $("upload").value = ""; // the same file may be chosen again
});
// Formats that only the server can open.
$("picture").addEventListener("error", () => ($("picture").hidden = true));

function brush() {
  pad.brush = $("brush").value / 100;
  $("dot").style.transform = `scale(${$("brush").value / $("brush").max})`;
}

document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLSelectElement) return;
  const key = event.key.toLowerCase();
  if (key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) undo();
  else if (key === "escape" || key === "delete") clear();
  else return;
  event.preventDefault();
});

document.addEventListener("paste", (event) => take(event.clipboardData, "the clipboard holds"));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer, "that is");
});

/** Open the picture that was dropped or pasted; other files too, which the server judges. */
function take(data, what) {
  const [file] = data?.files ?? [];
  if (file) open(file);
  else complain(`${what} no picture; upload one, or draw`);
}

// ---- the start -------------------------------------------------------------------------------

async function start() {
  brush();
  refresh();
  try {
    const known = await call("api/runs");
    for (const { name, accuracy } of known.runs) {
      const words = accuracy === null ? name : `${name} · ${percent(accuracy, 2)}`;
      $("run").add(new Option(words, name, name === known.default, name === known.default));
    }
    if (!known.plane) return;
    const { points } = await call("api/plane");
    plane = new PlaneView($("points"), points);
    $("plane").hidden = false;
    document.body.classList.add("with-plane");
    plane.move(reading?.plane ?? null);
  } catch (error) {
    complain(error.message);
  }
}

start();
