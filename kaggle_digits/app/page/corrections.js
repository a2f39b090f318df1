// "Wrong? It is a …": kd app saves the drawing with its true digit, and removes it again on "Undo".

import { sentence, withArticle } from "./result.js";
import { fetchJson, postPicture } from "./server.js";

const API = "api/drawings";

export class Corrections {
  #details;
  #buttons;
  #text;
  #undo;

  /** `toPng` returns a promise of the drawing or picture as a PNG. */
  constructor(details, toPng) {
    this.#details = details;
    [, this.#buttons, this.#text, this.#undo] = details.children;
    for (let digit = 0; digit < 10; digit++) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = digit;
      button.addEventListener("click", () => this.#save(digit, toPng));
      this.#buttons.append(button);
    }
    details.addEventListener("toggle", () => details.open && this.#ask());
  }

  /** Offer to save the drawing, which is new or has changed. */
  reset() {
    this.#details.open = false;
  }

  /** Ask the server whether it can save drawings, and the user for the digit. */
  async #ask() {
    this.#buttons.hidden = this.#undo.hidden = true;
    this.#text.textContent = "";
    try {
      const { problem } = await fetchJson(API);
      this.#buttons.hidden = Boolean(problem);
      this.#text.textContent = problem && `Drawings cannot be saved: ${problem}`;
    } catch (error) {
      this.#text.textContent = sentence(error.message);
    }
  }

  async #save(digit, toPng) {
    this.#buttons.hidden = true; // so that it is saved once
    this.#text.textContent = "Saving…";
    try {
      const { file, undo } = await postPicture(`${API}?label=${digit}`, await toPng());
      this.#text.textContent = `Saved as ${withArticle(digit)} in ${file}. Thank you.`;
      this.#undo.hidden = false;
      this.#undo.onclick = () => this.#remove(undo);
    } catch (error) {
      this.#buttons.hidden = false;
      this.#text.textContent = sentence(error.message);
    }
  }

  async #remove(undo) {
    this.#undo.hidden = true; // so that it is removed once
    try {
      const { file } = await fetchJson(`${API}?undo=${undo}`, { method: "DELETE" });
      this.#buttons.hidden = false;
      this.#text.textContent = `${file} was removed.`;
    } catch (error) {
      this.#text.textContent = sentence(error.message);
    }
  }
}
