// The challenge: all ten digits in random order, to be drawn one after the other. A digit that is
// read correctly scores its confidence in percent.

import { withArticle } from "./result.js";

const DIGITS = 10;
const MAX_POINTS = 100; // for one digit

const $ = (id) => document.getElementById(id);

export class Challenge {
  #actions;
  #digits = []; // in the order in which they are asked for
  #rounds = null; // of each digit so far { digit, read, points }; null between two games
  #answered = false; // whether the model has read the current digit
  #texts; // those of the page without a challenge

  /** `actions`: isEmpty(), reset(), lock(locked), and read(), a promise of the prediction for the
   *  drawing, which is then shown; null if there is none, because of an error that is shown. */
  constructor(actions) {
    this.#actions = actions;
    this.#texts = ["title", "lead", "task", "task-hint"].map((id) => [id, $(id).textContent]);
    $("play").addEventListener("click", () => (this.#rounds ? this.#stop() : this.#start()));
    $("again").addEventListener("click", () => this.#start());
    $("done").addEventListener("click", () => this.#continue());
    $("score").addEventListener("pointerdown", (event) => event.stopPropagation()); // no stroke
    document.addEventListener("keydown", (event) => {
      const isControl = event.target.closest?.("button, input, select, summary");
      if (event.key !== "Enter" || isControl || $("done").hidden) return;
      event.preventDefault(); // of the button that has the focus afterwards
      this.#continue();
    });
  }

  #start() {
    this.#digits = shuffle([...Array(DIGITS).keys()]);
    this.#rounds = [];
    document.body.classList.add("playing");
    $("play").textContent = "Stop";
    $("score").hidden = true;
    $("done").hidden = false;
    this.#ask();
    $("pad").focus({ preventScroll: true }); // Enter on the button would stop
  }

  #stop() {
    this.#rounds = null;
    this.#setAnswered(false);
    document.body.classList.remove("playing");
    for (const [id, text] of this.#texts) $(id).textContent = text;
    $("play").textContent = "Challenge";
    $("score").hidden = $("done").hidden = true;
    this.#actions.reset();
    $("play").focus();
  }

  #ask() {
    const digit = this.#digits[this.#rounds.length];
    this.#actions.reset();
    this.#setAnswered(false);
    this.#say(`Draw ${withArticle(digit)}`);
    $("task").textContent = `Draw ${withArticle(digit)} here`;
    $("task-hint").textContent = "then press Done";
    $("done").textContent = "Done";
  }

  /** Let the model read the drawing; once it has, ask for the next digit. */
  async #continue() {
    const rounds = this.#rounds;
    if (this.#answered) {
      if (rounds.length < DIGITS) this.#ask();
      else this.#end();
      return;
    }
    if (this.#actions.isEmpty() || $("done").ariaDisabled === "true") return;
    this.#actions.lock(true);
    $("done").ariaDisabled = "true"; // until the answer is there
    const prediction = await this.#actions.read();
    $("done").ariaDisabled = "false";
    if (rounds !== this.#rounds) return; // stopped in the meantime
    if (prediction) this.#judge(prediction);
    else this.#actions.lock(false);
  }

  #judge({ digit: first, confidence, lines }) {
    const digit = this.#digits[this.#rounds.length];
    const read = lines.length ? lines.join(" ") : first;
    const isCorrect = read === digit;
    const points = isCorrect ? Math.round(MAX_POINTS * confidence) : 0;
    this.#rounds.push({ digit, read, points });
    this.#setAnswered(true);
    this.#say(isCorrect ? `Correct: +${points}` : read === null ? "No digit found" : `Read as ${read}`);
    $("done").textContent = this.#rounds.length < DIGITS ? "Next" : "Score";
  }

  #end() {
    const correct = this.#rounds.filter(({ digit, read }) => digit === read).length;
    this.#actions.reset();
    this.#setAnswered(false);
    this.#actions.lock(true);
    $("title").textContent = "Your score";
    $("lead").textContent = "All ten digits are drawn.";
    const [points, tally, list] = $("score").children;
    points.innerHTML = `<b>${this.#points}</b> of ${(DIGITS * MAX_POINTS).toLocaleString("en")} points`;
    tally.textContent = `${correct} of ${DIGITS} read correctly`;
    list.replaceChildren(...this.#rounds.map(makeRound));
    $("play").textContent = "Close";
    $("done").hidden = true;
    $("score").hidden = false;
    $("again").focus();
  }

  get #points() {
    return this.#rounds.reduce((sum, { points }) => sum + points, 0);
  }

  #say(title) {
    const number = Math.min(DIGITS, this.#rounds.length + !this.#answered);
    $("title").textContent = title;
    $("lead").textContent = `${number} of ${DIGITS} digits, ${this.#points} points`;
  }

  #setAnswered(answered) {
    this.#answered = answered;
    this.#actions.lock(answered);
    document.body.classList.toggle("answered", answered);
  }
}

function makeRound({ digit, read, points }) {
  const item = document.createElement("li");
  item.innerHTML = "<b></b> <small></small>";
  item.firstChild.textContent = digit;
  item.lastChild.textContent = digit === read ? points : `→ ${read ?? "nothing"}`;
  item.classList.toggle("doubtful", digit !== read);
  return item;
}

/** Shuffle in place: Fisher and Yates. */
function shuffle(values) {
  for (let k = values.length - 1; k > 0; k--) {
    const other = Math.floor(Math.random() * (k + 1));
    [values[k], values[other]] = [values[other], values[k]];
  }
  return values;
}
