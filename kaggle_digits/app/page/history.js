// Earlier drawings and pictures with their predictions; a click restores one.

import { drawStrokes } from "./drawing.js";
import { percent } from "./result.js";

const MAX_ENTRIES = 12;
const THUMBNAIL = 144; // pixels per side: twice the displayed size, for high-resolution screens

export class DrawingHistory {
  onSelect = (entry) => {};

  #list;
  #hint;
  #entries = []; // newest first: { strokes } or { file, url }, and the prediction

  constructor(list, hint) {
    this.#list = list;
    this.#hint = hint;
  }

  get length() {
    return this.#entries.length;
  }

  add(entry) {
    this.#entries.unshift(entry);
    this.#list.prepend(this.#makeItem(entry));
    for (const old of this.#entries.splice(MAX_ENTRIES)) {
      if (old.url) URL.revokeObjectURL(old.url);
      this.#list.lastElementChild.remove();
    }
    this.#hint.hidden = true;
  }

  /** Remove and return `entry`, by default the newest. */
  take(entry = this.#entries[0]) {
    const index = this.#entries.indexOf(entry);
    this.#entries.splice(index, 1);
    this.#list.children[index].remove();
    this.#hint.hidden = this.#entries.length > 0;
    return entry;
  }

  #makeItem(entry) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const caption = document.createElement("span");
    const { digit: first = null, confidence, lines = [] } = entry.prediction ?? {};
    const found = first !== null;
    const digit = lines.length ? lines.join(" ") : first;
    const label = found ? `${digit}, ${percent(confidence, 0)} confidence` : "no digit";
    button.type = "button";
    button.setAttribute("aria-label", `Restore the drawing predicted as ${label}`);
    caption.innerHTML = "<b></b> <small></small>";
    caption.firstChild.textContent = digit ?? "–";
    caption.lastChild.textContent = found ? percent(confidence, 0) : "";
    button.append(makeThumbnail(entry), caption);
    button.addEventListener("click", () => this.onSelect(entry));
    item.append(button);
    return item;
  }
}

function makeThumbnail({ strokes, url }) {
  if (url) {
    const image = new Image();
    image.src = url;
    image.alt = "";
    return image;
  }
  const canvas = document.createElement("canvas");
  canvas.className = "ink";
  canvas.width = canvas.height = THUMBNAIL;
  drawStrokes(canvas.getContext("2d"), strokes);
  return canvas;
}
