// The page without a server: the model runs in the browser, with ONNX Runtime. It takes the place of
// server.js in the folder of kd app --export, and answers as kd app does.

import * as ort from "./ort.js";
import { NO_DIGIT, prepare } from "./prepare.js";

const DRAWINGS_ONLY = "this page reads drawings only; kd app reads pictures, too";

const locate = (file) => new URL(file, import.meta.url).href;
ort.env.wasm.numThreads = 1; // more need headers that a static server does not send
ort.env.wasm.wasmPaths = { wasm: locate("ort-wasm-simd-threaded.wasm") };
const session = ort.InferenceSession.create(locate("model.onnx"));
session.catch(() => {}); // reported by the first classification
const about = fetch(locate("run.json")).then((response) => response.json());

/** Return the only run, as GET /api/runs does. */
export async function fetchJson() {
  const run = await about;
  return { runs: [run], default: run.name, plane: false };
}

/** Return the prediction for a drawing, as POST /api/classify does. */
export async function postPicture(url, picture) {
  if (picture instanceof File) throw Object.assign(new Error(DRAWINGS_ONLY), { invalidPicture: true });
  const { image, note } = prepare(await readPixels(picture));
  const found = note !== NO_DIGIT;
  const probabilities = found ? await predict(image) : new Array(10).fill(0);
  const ranked = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  return {
    digit: found ? ranked[0] : null,
    confidence: found ? probabilities[ranked[0]] : null,
    runner_up: found ? ranked[1] : null,
    note,
    probabilities,
    image: [...image],
    plane: null,
    digits: [],
    lines: [],
  };
}

async function predict(image) {
  let model;
  try {
    model = await session;
  } catch (error) {
    throw new Error(`the model cannot be loaded (${error.message}); reload the page`);
  }
  const images = new ort.Tensor("uint8", image, [1, 28, 28]);
  const results = await model.run({ [model.inputNames[0]]: images });
  return [...results[model.outputNames[0]].data];
}

async function readPixels(picture) {
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
