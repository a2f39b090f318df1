// Asking the server: one question under way at a time, and after it the newest that waits.

const PATIENCE = 15_000; // milliseconds; a run that is read for the first time is loaded
const PAUSE = 30; // between two answers while a line grows
const GONE = "kd app does not answer; if it was stopped, start it again: kd app";

export class Asking {
  answered = (reading, question) => {};
  failed = (trouble, question) => {};
  busy = (yes) => {};
  slow = (yes) => {}; // one waits long enough to wonder

  #next = null;
  #works = false;
  #turn = 0;

  /** Ask `{ picture: () => Promise<Blob>, run, final }` as soon as the last answer is there. */
  ask(question) {
    this.#next = question;
    if (!this.#works) this.#work();
  }

  /** Drop what waits and the answer that is under way. */
  forget() {
    this.#next = null;
    this.#turn++;
  }

  async #work() {
    this.#works = true;
    this.busy(true);
    while (this.#next) {
      const question = this.#next;
      const turn = this.#turn;
      this.#next = null;
      const slow = setTimeout(() => this.slow(true), 250);
      try {
        const reading = await classify(await question.picture(), question.run);
        if (turn === this.#turn) this.answered(reading, question);
      } catch (error) {
        if (turn === this.#turn) this.failed(error, question);
      }
      clearTimeout(slow);
      this.slow(false);
      if (this.#next && !this.#next.final) await new Promise((go) => setTimeout(go, PAUSE));
    }
    this.#works = false;
    this.busy(false);
  }
}

function classify(picture, run) {
  return call(`api/classify?run=${encodeURIComponent(run)}`, {
    method: "POST",
    headers: { "Content-Type": picture.type || "application/octet-stream" },
    body: picture,
  });
}

/** The JSON of an answer; throws an Error whose message is one line for people, and which is
 *  `refused` where what was sent can never be read. */
export async function call(address, options = {}) {
  let response;
  try {
    response = await fetch(address, { ...options, signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Error(GONE);
  }
  const found = await response.json().catch(() => ({}));
  if (!response.ok) {
    const { detail } = found;
    const text = typeof detail === "string" ? detail : `the server failed (${response.status})`;
    throw Object.assign(new Error(text), { refused: response.status === 400 });
  }
  return found;
}
