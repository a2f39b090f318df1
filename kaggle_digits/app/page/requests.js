// Requests to the server. One classification runs at a time; meanwhile only the newest is queued.

const TIMEOUT = 15_000; // milliseconds; the first request with a run loads its models
const PAUSE = 30; // milliseconds between two requests while a stroke is drawn
const SLOW_AFTER = 250; // milliseconds
const NO_SERVER = "kd app does not answer; if it was stopped, start it again: kd app";
const SLOW_SERVER = "kd app took longer than 15 seconds; draw or upload again to repeat the request";

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

export function postPicture(url, picture) {
  return fetchJson(url, {
    method: "POST",
    headers: { "Content-Type": picture.type || "application/octet-stream" },
    body: picture,
  });
}

/** Fetch JSON. Throws an Error with a one-line message; its `invalidPicture` is true if the server
 *  could not read the picture. */
export async function fetchJson(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT) });
  } catch (error) {
    throw new Error(error.name === "TimeoutError" ? SLOW_SERVER : NO_SERVER);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const { detail } = body;
    const text = typeof detail === "string" ? detail : `kd app failed (error ${response.status}); its terminal says why`;
    throw Object.assign(new Error(text), { invalidPicture: response.status === 400 });
  }
  return body;
}
