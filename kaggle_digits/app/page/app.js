// The page: connects the drawing area, uploads, the prediction, the embedding and the history.

import { Camera } from "./camera.js";
import { Challenge } from "./challenge.js";
import { Corrections } from "./corrections.js";
import { DrawingPad } from "./drawing.js";
import { EmbeddingView } from "./embedding.js";
import { DrawingHistory } from "./history.js";
import { showOcclusion } from "./occlusion.js";
import { Panel } from "./panels.js";
import { convert, drawBoxes, shrink } from "./picture.js";
import { ClassifyQueue, classifyPicture } from "./requests.js";
import { percent, ResultView, sentence, showImages } from "./result.js";
import { fetchJson } from "./server.js";

const FRAME_PAUSE = 100; // milliseconds between two frames of the camera
const SAVED_SIDE = 800; // pixels of a picture that is saved with its true digit
const REFRESH = 15_000; // milliseconds until newly trained runs appear

const $ = (id) => document.getElementById(id);
const pad = new DrawingPad($("pad"), $("reach"));
const camera = new Camera($("video"));
const resultView = new ResultView();
const queue = new ClassifyQueue();
const drawingHistory = new DrawingHistory($("history"), $("history-hint"), $("forget"));
const corrections = new Corrections($("corrections"), toPng);
new Challenge({
  isEmpty,
  reset() {
    reset(true);
    cleared = false;
  },
  lock: (locked) => (pad.locked = locked),
  read: readDrawing,
});

let picture = null; // { file, url } if a picture is shown instead of a drawing
let prediction = null; // the newest prediction for the drawing or picture
let cleared = false; // whether undo would restore what was just cleared
let embedding = null;
let frameTimer = 0; // until the next frame of the camera

function toBlob() {
  if (camera.live) return camera.frame();
  return picture ? picture.file : pad.empty ? null : pad.toBlob();
}

const panels = [
  new Panel($("steps"), "api/steps", toBlob, (response) => showImages($("steps"), response)),
  new Panel($("activations"), "api/activations", toBlob, (response) => showImages($("activations"), response)),
  new Panel($("occlusion"), "api/occlusion", toBlob, (response) =>
    showOcclusion($("decisive"), $("decisive-text"), response)),
];
for (const panel of panels) panel.onError = (error) => showError(error.message);

// ---- drawing or picture ----------------------------------------------------------------------

function isEmpty() {
  return pad.empty && !picture && !camera.live;
}

async function toPng() {
  if (!picture && !camera.live) return pad.toBlob();
  try {
    return await convert(await toBlob(), SAVED_SIDE, "image/png");
  } catch {
    throw new Error("this browser cannot convert the picture; save it as PNG or JPEG first");
  }
}

/** Classify the drawing or picture, show the prediction and return it; null after an error. */
async function readDrawing() {
  queue.cancel();
  try {
    queue.onResult(await classifyPicture(await toBlob(), $("run").value));
  } catch (error) {
    queue.onError(error);
  }
  return prediction;
}

function classify(final) {
  if (isEmpty()) return;
  if (!prediction) resultView.clear("Reading…");
  queue.send({ picture: toBlob, run: $("run").value, final });
  if (final) panels.forEach((panel) => panel.refresh());
}

/** Remove the drawing or picture; with `keep`, add it to the history. */
function reset(keep) {
  forgetPrediction(keep);
  pad.strokes = [];
  updateButtons();
}

function forgetPrediction(keep) {
  if (keep && (picture || !pad.empty)) {
    drawingHistory.add({ ...(picture ?? { strokes: pad.strokes }), prediction });
  } else if (picture) {
    URL.revokeObjectURL(picture.url);
  }
  queue.cancel();
  corrections.reset();
  embedding?.clear();
  picture = prediction = null;
  $("picture").hidden = true;
  stopCamera();
  panels.forEach((panel) => panel.close());
  showBoxes();
  showError("");
  resultView.clear();
}

function clear() {
  if (isEmpty()) return;
  cleared = !camera.live;
  reset(true);
}

function undo() {
  if (picture || camera.live) {
    clear();
  } else if (!pad.empty) {
    pad.undo();
    if (pad.empty) forgetPrediction(false);
    else classify(true);
    updateButtons();
  } else if (cleared && drawingHistory.length) {
    restore(drawingHistory.take());
  }
}

function redo() {
  if (!pad.canRedo) return;
  pad.redo();
  updateButtons();
  classify(true);
}

function toggleEraser() {
  pad.erasing = !pad.erasing;
  $("eraser").setAttribute("aria-pressed", pad.erasing);
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

async function openFile(original) {
  let file;
  try {
    file = await shrink(original);
  } catch (error) {
    showError(error.message);
    return;
  }
  reset(true);
  cleared = false;
  showPicture({ file, url: URL.createObjectURL(file) });
  updateButtons();
  classify(true);
}

/** Read the camera's frames, one after the other; while it runs, take the current one. */
async function useCamera() {
  if (camera.live) {
    openFile(await camera.frame());
    return;
  }
  reset(true);
  cleared = false;
  try {
    await camera.start();
  } catch (error) {
    showError(error.message);
    return;
  }
  nameCamera("Freeze");
  updateButtons();
  classify(true);
}

function stopCamera() {
  camera.stop();
  nameCamera("Camera");
}

function nameCamera(name) {
  $("camera").ariaLabel = $("camera").title = name;
  $("camera").classList.toggle("primary", camera.live);
}

function showBoxes() {
  const { naturalWidth, naturalHeight, hidden } = $("picture");
  const size = camera.live ? camera.size : [naturalWidth, naturalHeight];
  drawBoxes($("boxes"), hidden && !camera.live ? null : prediction, ...size);
}

function updateButtons() {
  $("paper").classList.toggle("used", !isEmpty());
  $("clear").setAttribute("aria-disabled", isEmpty());
  $("redo").setAttribute("aria-disabled", !pad.canRedo);
  $("undo").setAttribute("aria-disabled", isEmpty() && !(cleared && drawingHistory.length));
}

function showError(text) {
  $("error").textContent = sentence(text);
  $("error").hidden = !text;
}

pad.onStart = () => {
  if (picture || camera.live) reset(true);
  cleared = false;
};
pad.onChange = () => {
  corrections.reset();
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
  showBoxes();
  embedding?.move(response.plane);
  clearTimeout(frameTimer);
  if (camera.live) frameTimer = setTimeout(() => camera.live && classify(false), FRAME_PAUSE);
};
queue.onError = (error) => {
  if ((error.invalidPicture && picture) || camera.live) reset(false);
  prediction = null;
  showBoxes();
  showError(error.message);
  resultView.clear("No prediction");
  embedding?.clear();
};
queue.onBusy = (busy) => $("result").setAttribute("aria-busy", busy);
queue.onSlow = (slow) => $("result").classList.toggle("waiting", slow);

// ---- buttons, keys, files --------------------------------------------------------------------

$("undo").addEventListener("click", undo);
$("redo").addEventListener("click", redo);
$("eraser").addEventListener("click", toggleEraser);
$("clear").addEventListener("click", clear);
$("camera").addEventListener("click", useCamera);
camera.onEnd = () => reset(false);
document.addEventListener("visibilitychange", () => document.hidden && camera.live && reset(false));
$("run").addEventListener("change", () => classify(true));
$("brush").addEventListener("input", updateBrush);
$("upload").addEventListener("change", () => {
  const [file] = $("upload").files;
  if (file) openFile(file);
  $("upload").value = ""; // so that the same file can be chosen again
});
// The server reads formats that the browser cannot display.
$("picture").addEventListener("error", () => ($("picture").hidden = true));
$("picture").addEventListener("load", showBoxes);

$("forget").addEventListener("click", () => {
  updateButtons();
  $("pad").focus({ preventScroll: true });
});

function updateBrush() {
  pad.brush = $("brush").value / 100;
  $("dot").style.transform = `scale(${$("brush").value / $("brush").max})`;
}

document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLSelectElement) return;
  const key = event.key.toLowerCase();
  const control = event.ctrlKey || event.metaKey;
  if (control && (key === "y" || (key === "z" && event.shiftKey))) redo();
  else if (control && key === "z") undo();
  else if (key === "e" && !control && !event.altKey) toggleEraser();
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

/** List the finished runs, and show the embedding once there is one. */
async function refresh() {
  const { runs, default: defaultRun, plane } = await fetchJson("api/runs");
  const select = $("run");
  const chosen = select.value || defaultRun;
  const options = runs.map(({ name, accuracy }) => {
    const text = accuracy === null ? name : `${name} · ${percent(accuracy, 2)}`;
    return new Option(text, name, name === defaultRun, name === chosen);
  });
  const isSame = ({ text }, k) => text === select.options[k]?.text;
  if (options.length !== select.options.length || !options.every(isSame)) {
    select.replaceChildren(...options);
  }
  $("no-embedding").hidden = plane;
  if (!plane || embedding) return;
  // Its place is made at once: the sheet must not move while somebody draws.
  $("embedding").hidden = false;
  document.body.classList.add("with-embedding");
  const { points } = await fetchJson("api/plane");
  embedding = new EmbeddingView($("points"), points);
  embedding.move(prediction?.plane ?? null);
}

updateBrush();
updateButtons();
refresh().catch((error) => showError(error.message));
const refreshIfVisible = () => document.hidden || refresh().catch(() => {}); // reported when used
setInterval(refreshIfVisible, REFRESH);
window.addEventListener("focus", refreshIfVisible);
