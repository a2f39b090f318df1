// The page: connects the drawing area, uploads, the prediction, the embedding and the history.

import { DrawingPad } from "./drawing.js";
import { EmbeddingView } from "./embedding.js";
import { DrawingHistory } from "./history.js";
import { ClassifyQueue, fetchJson } from "./requests.js";
import { percent, ResultView, sentence } from "./result.js";

const MAX_UPLOAD_BYTES = 10_000_000;

const $ = (id) => document.getElementById(id);
const pad = new DrawingPad($("pad"));
const resultView = new ResultView();
const queue = new ClassifyQueue();
const drawingHistory = new DrawingHistory($("history"), $("history-hint"));

let picture = null; // { file, url } if a picture is shown instead of a drawing
let prediction = null; // the newest prediction for the drawing or picture
let cleared = false; // whether undo would restore what was just cleared
let embedding = null;

// ---- drawing or picture ----------------------------------------------------------------------

const isEmpty = () => pad.empty && !picture;

function classify(final) {
  if (isEmpty()) return;
  const source = picture ? async () => picture.file : () => pad.toBlob();
  queue.send({ picture: source, run: $("run").value, final });
}

/** Remove the drawing or picture; with `keep`, add it to the history. */
function reset(keep) {
  if (keep && !isEmpty()) {
    drawingHistory.add({ ...(picture ?? { strokes: pad.strokes }), prediction });
  } else if (picture) {
    URL.revokeObjectURL(picture.url);
  }
  queue.cancel();
  embedding?.clear();
  pad.strokes = [];
  picture = prediction = null;
  $("picture").hidden = true;
  showError("");
  resultView.clear();
  updateButtons();
}

function clear() {
  if (isEmpty()) return;
  reset(true);
  cleared = true;
}

function undo() {
  if (picture) {
    clear();
  } else if (!pad.empty) {
    pad.undo();
    if (pad.empty) reset(false);
    else classify(true);
    updateButtons();
  } else if (cleared && drawingHistory.length) {
    restore(drawingHistory.take());
  }
}

function restore(entry) {
  reset(true);
  cleared = false;
  if (entry.url) showPicture(entry);
  else pad.strokes = entry.strokes;
  updateButtons();
  classify(true);
}

function showPicture({ file, url }) {
  picture = { file, url };
  $("picture").src = url;
  $("picture").hidden = false;
}

function openFile(file) {
  if (file.size > MAX_UPLOAD_BYTES) {
    showError("the picture is larger than 10 MB; choose a smaller one");
    return;
  }
  reset(true);
  cleared = false;
  showPicture({ file, url: URL.createObjectURL(file) });
  updateButtons();
  classify(true);
}

function updateButtons() {
  $("paper").classList.toggle("used", !isEmpty());
  $("clear").setAttribute("aria-disabled", isEmpty());
  $("undo").setAttribute("aria-disabled", isEmpty() && !(cleared && drawingHistory.length));
}

function showError(text) {
  $("error").textContent = sentence(text);
  $("error").hidden = !text;
}

pad.onStart = () => {
  if (picture) reset(true);
  cleared = false;
};
pad.onChange = () => {
  updateButtons();
  classify(false);
};
pad.onEnd = () => classify(true);
drawingHistory.onSelect = (entry) => {
  restore(drawingHistory.take(entry));
  $("pad").focus({ preventScroll: true });
};

queue.onResult = (response) => {
  prediction = response;
  showError("");
  resultView.show(response);
  embedding?.move(response.plane);
};
queue.onError = (error) => {
  if (error.invalidPicture && picture) reset(false);
  prediction = null;
  showError(error.message);
  resultView.clear("No prediction");
  embedding?.clear();
};
queue.onBusy = (busy) => $("result").setAttribute("aria-busy", busy);
queue.onSlow = (slow) => $("result").classList.toggle("waiting", slow);

// ---- buttons, keys, files --------------------------------------------------------------------

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
$("run").addEventListener("change", () => classify(true));
$("brush").addEventListener("input", updateBrush);
$("upload").addEventListener("change", () => {
  const [file] = $("upload").files;
  if (file) openFile(file);
  $("upload").value = ""; // so that the same file can be chosen again
});
// The server reads formats that the browser cannot display.
$("picture").addEventListener("error", () => ($("picture").hidden = true));

function updateBrush() {
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

document.addEventListener("paste", (event) => openFrom(event.clipboardData, "in the clipboard"));
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
  openFrom(event.dataTransfer, "in what was dropped");
});

/** Open the dropped or pasted file; the server decides whether it is a picture. */
function openFrom(data, place) {
  const [file] = data?.files ?? [];
  if (file) openFile(file);
  else showError(`there is no picture ${place}; upload one, or draw`);
}

// ---- start -----------------------------------------------------------------------------------

async function start() {
  updateBrush();
  updateButtons();
  try {
    const { runs, default: defaultRun, plane } = await fetchJson("api/runs");
    for (const { name, accuracy } of runs) {
      const text = accuracy === null ? name : `${name} · ${percent(accuracy, 2)}`;
      $("run").add(new Option(text, name, name === defaultRun, name === defaultRun));
    }
    if (!plane) return;
    const { points } = await fetchJson("api/plane");
    embedding = new EmbeddingView($("points"), points);
    $("embedding").hidden = false;
    document.body.classList.add("with-embedding");
    embedding.move(prediction?.plane ?? null);
  } catch (error) {
    showError(error.message);
  }
}

start();
