// The last drawings and pictures with their answers; a click brings one back.

import { drawAll } from "./pad.js";
import { percent } from "./reading.js";

const MOST = 12;
const THUMB = 144; // pixels a side: twice what is shown, for fine screens

export class Strip {
  chosen = (work) => {};

  #list;
  #hint;
  #works = []; // newest first: { strokes } or { file, url }, and its reading

  constructor(list, hint) {
    this.#list = list;
    this.#hint = hint;
  }

  get length() {
    return this.#works.length;
  }

  add(work) {
    this.#works.unshift(work);
    this.#list.prepend(this.#item(work));
    for (const old of this.#works.splice(MOST)) {
      if (old.url) URL.revokeObjectURL(old.url);
      this.#list.lastElementChild.remove();
    }
    this.#hint.hidden = true;
  }

  /** Take out and return `work`, or the newest. */
  take(work = this.#works[0]) {
    const place = this.#works.indexOf(work);
    this.#works.splice(place, 1);
    this.#list.children[place].remove();
    this.#hint.hidden = this.#works.length > 0;
    return work;
  }

  #item(work) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const caption = document.createElement("span");
    const { digit = null, confidence } = work.reading ?? {};
    const read = digit === null ? "no digit" : `${digit}, ${percent(confidence, 0)} sure`;
    button.type = "button";
    button.setAttribute("aria-label", `Bring back what was read as ${read}`);
    caption.innerHTML = "<b></b> <small></small>";
    caption.firstChild.textContent = digit ?? "–";
    caption.lastChild.textContent = digit === null ? "" : percent(confidence, 0);
    button.append(thumb(work), caption);
    button.addEventListener("click", () => this.chosen(work));
    item.append(button);
    return item;
  }
}

function thumb({ strokes, url }) {
  if (url) {
    const image = new Image();
    image.src = url;
    image.alt = "";
    return image;
  }
  const canvas = document.createElement("canvas");
  canvas.className = "ink";
  canvas.width = canvas.height = THUMB;
  drawAll(canvas.getContext("2d"), strokes);
  return canvas;
}
