// Panels below the prediction: what they show is requested when they are opened.

import { postPicture } from "./server.js";

export class Panel {
  onError = (error) => {};

  #details;
  #url;
  #picture;
  #show;
  #generation = 0;

  /** Fill `details` with `show(response)` of `url`, which is sent `picture()`, a promise of a Blob,
   *  or null if there is none. `show(null)` empties it. */
  constructor(details, url, picture, show) {
    this.#details = details;
    this.#url = url;
    this.#picture = picture;
    this.#show = show;
    details.addEventListener("toggle", () => this.refresh());
  }

  /** Request what it shows, if it is open. */
  async refresh() {
    if (!this.#details.open) return;
    const generation = ++this.#generation;
    const isCurrent = () => generation === this.#generation;
    try {
      const picture = await this.#picture();
      if (!picture) return;
      const run = encodeURIComponent(document.getElementById("run").value);
      const response = await postPicture(`${this.#url}?run=${run}`, picture);
      if (isCurrent()) this.#show(response);
    } catch (error) {
      if (isCurrent()) this.onError(error);
    }
  }

  close() {
    this.#generation++;
    this.#details.open = false;
    this.#show(null);
  }
}
