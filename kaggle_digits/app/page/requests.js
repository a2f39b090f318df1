// Classifications: one runs at a time; meanwhile only the newest is queued.

import { postPicture } from "./server.js";

const PAUSE = 30; // milliseconds between two requests while a stroke is drawn
const SLOW_AFTER = 250; // milliseconds

export class ClassifyQueue {
  onResult = (prediction) => {};
  onError = (error) => {};
  onBusy = (busy) => {};
  onSlow = (slow) => {}; // the current request takes long enough to show it

  #next = null;
  #running = false;
  #generation = 0;

  /** Send `{ picture: () => Promise<Blob>, run, final }` once the current request is done.
   *  A picture that is not `final` may be replaced by a newer one. */
  send(request) {
    this.#next = request;
    if (!this.#running) this.#run();
  }

  /** Drop the queued request, and ignore the result of the current one. */
  cancel() {
    this.#next = null;
    this.#generation++;
  }

  async #run() {
    this.#running = true;
    this.onBusy(true);
    while (this.#next) {
      const request = this.#next;
      const generation = this.#generation;
      this.#next = null;
      const timer = setTimeout(() => this.onSlow(true), SLOW_AFTER);
      try {
        const prediction = await classifyPicture(await request.picture(), request.run);
        if (generation === this.#generation) this.onResult(prediction);
      } catch (error) {
        if (generation === this.#generation) this.onError(error);
      }
      clearTimeout(timer);
      this.onSlow(false);
      if (this.#next && !this.#next.final) await new Promise((go) => setTimeout(go, PAUSE));
    }
    this.#running = false;
    this.onBusy(false);
  }
}

/** Return a promise of the prediction of a run for a picture. */
export function classifyPicture(picture, run) {
  return postPicture(`api/classify?run=${encodeURIComponent(run)}`, picture);
}
