// Which strokes decided: how much the probability falls while a small square is covered.

import { percent } from "./result.js";

const FALLS = [255, 112, 0];
const RISES = [64, 128, 255];
const SMALL = 0.01; // a fall of the probability that decides nothing

/** Draw a response of /api/occlusion and explain it in `caption`; null empties both. */
export function showOcclusion(canvas, caption, response) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  caption.textContent = "";
  if (!response) return;
  const { digit, probability, lowest, drop, image } = response;
  const strongest = Math.max(1e-6, ...drop.map(Math.abs));
  const pixels = context.createImageData(canvas.width, canvas.height);
  drop.forEach((value, k) => {
    const share = (0.9 * Math.abs(value)) / strongest;
    const mix = (colour) => 0.6 * image[k] * (1 - share) + colour * share;
    pixels.data.set([...(value > 0 ? FALLS : RISES).map(mix), 255], 4 * k);
  });
  context.putImageData(pixels, 0, 0);
  const decides = probability - lowest > SMALL;
  caption.textContent =
    `A square of 4 × 4 pixels covers each part of the digit in turn. Orange: the probability of ` +
    `${digit} falls while this part is covered, ` +
    (decides
      ? `at most from ${percent(probability)} to ${percent(lowest)}. `
      : `but never below ${percent(lowest)}, so no single part decides. `) +
    "Blue: it rises.";
}
