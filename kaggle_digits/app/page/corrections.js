// "Wrong? It is a …": kd app saves the drawing with its true digit.

import { fetchJson, postPicture } from "./requests.js";
import { sentence } from "./result.js";

const API = "api/drawings";

export class Corrections {
  #details;
  #buttons;
  #text;
  #problem = ""; // why the server cannot save drawings

  /** `toPng` returns a promise of the drawing or picture as a PNG. */
  constructor(details, toPng) {
    this.#details = details;
    [, this.#buttons, this.#text] = details.children;
    for (let digit = 0; digit < 10; digit++) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = digit;
      button.addEventListener("click", () => this.#save(digit, toPng));
      this.#buttons.append(button);
    }
    fetchJson(API).then(
      ({ problem }) => {
        this.#problem = problem && `Drawings cannot be saved: ${problem}`;
        this.#details.hidden = false;
        this.reset();
      },
      () => {}, // a server that saves no drawings, or none; the latter is reported when used
    );
  }

  /** Offer to save the drawing, which is new or has changed. */
  reset() {
    this.#details.open = false;
    this.#buttons.hidden = Boolean(this.#problem);
    this.#text.textContent = this.#problem;
  }

  async #save(digit, toPng) {
    this.#buttons.hidden = true; // so that it is saved once
    this.#text.textContent = "Saving…";
    try {
      const { file } = await postPicture(`${API}?label=${digit}`, await toPng());
      this.#text.textContent = `Saved as a ${digit} in ${file}. Thank you.`;
    } catch (error) {
      this.#buttons.hidden = false;
      this.#text.textContent = sentence(error.message);
    }
  }
}
