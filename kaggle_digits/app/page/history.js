// Earlier drawings and pictures with their predictions; a click restores one. The browser stores
// them, so that they survive a reload.

import { drawStrokes } from "./drawing.js";
import { convert } from "./picture.js";
import { percent } from "./result.js";

const MAX_ENTRIES = 12;
const THUMBNAIL = 144; // pixels per side: twice the displayed size, for high-resolution screens
const STORE = "kaggle-digits: earlier drawings"; // key of localStorage
const MAX_STORED = 2_000_000; // characters; browsers allow five million
const LARGE_BYTES = 100_000; // larger pictures are stored with STORED_SIDE pixels
const STORED_SIDE = 640;

export class DrawingHistory {
  onSelect = (entry) => {};

  #list;
  #hint;
  #forget;
  // Newest first: { strokes } or { file, url, data }, and the prediction. `data` is the picture as
  // a data URL, for the store.
  #entries = [];

  /** Show the stored entries in `list`; the button `forget` deletes them all. */
  constructor(list, hint, forget) {
    this.#list = list;
    this.#hint = hint;
    this.#forget = forget;
    forget.addEventListener("click", () => {
      while (this.length) revoke(this.take());
    });
    for (const entry of readStore().reverse()) this.#insert(entry);
  }

  get length() {
    return this.#entries.length;
  }

  add(entry) {
    this.#insert(entry);
    this.#save();
    if (entry.file && !entry.data) {
      toDataUrl(entry.file).then(
        (data) => {
          entry.data = data;
          this.#save();
        },
        () => {}, // the browser cannot read it: it is kept until the page is left
      );
    }
  }

  /** Remove and return `entry`, by default the newest. */
  take(entry = this.#entries[0]) {
    const index = this.#entries.indexOf(entry);
    this.#entries.splice(index, 1);
    this.#list.children[index].remove();
    this.#update();
    this.#save();
    return entry;
  }

  #insert(entry) {
    this.#entries.unshift(entry);
    this.#list.prepend(this.#makeItem(entry));
    for (const old of this.#entries.splice(MAX_ENTRIES)) {
      revoke(old);
      this.#list.lastElementChild.remove();
    }
    this.#update();
  }

  #update() {
    this.#hint.hidden = this.length > 0;
    this.#forget.hidden = this.length === 0;
  }

  /** Store the newest entries that fit. */
  #save() {
    const entries = this.#entries.filter(({ strokes, data }) => strokes || data).map(toStored);
    while (!store(JSON.stringify(entries, shorten)) && entries.length) entries.pop();
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

function toStored({ strokes, data, prediction }) {
  const { digit, confidence, lines } = prediction ?? {};
  return { strokes, data, prediction: prediction && { digit, confidence, lines } };
}

/** Round numbers down, so that a confidence below 1 stays below 1. */
function shorten(key, value) {
  return typeof value === "number" ? Math.floor(value * 1e4) / 1e4 : value;
}

/** Return the stored entries, newest first; none if they are damaged. */
function readStore() {
  try {
    const entries = JSON.parse(localStorage.getItem(STORE) ?? "[]").slice(0, MAX_ENTRIES);
    for (const entry of entries) {
      if (entry.data) Object.assign(entry, toFile(entry.data));
      else drawStrokes(document.createElement("canvas").getContext("2d"), entry.strokes);
    }
    return entries;
  } catch {
    return [];
  }
}

/** Return whether the browser has stored `text`; it may allow less, or nothing at all. */
function store(text) {
  try {
    if (text.length > MAX_STORED) return false;
    localStorage[STORE] = text;
    return true;
  } catch {
    return false;
  }
}

function toFile(data) {
  const [head, content] = data.split(",");
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const file = new Blob([bytes], { type: head.slice("data:".length, head.indexOf(";")) });
  return { file, url: URL.createObjectURL(file) };
}

async function toDataUrl(file) {
  const isLarge = file.size > LARGE_BYTES;
  const stored = isLarge ? await convert(file, STORED_SIDE, "image/jpeg") : file;
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = reject;
    reader.readAsDataURL(stored);
  });
}

function revoke({ url }) {
  if (url) URL.revokeObjectURL(url);
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
