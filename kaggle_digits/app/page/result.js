// The prediction: the digit, its confidence, ten bars and the input of the network.

const ANNOUNCE_AFTER = 600; // milliseconds without a change before a screen reader is told
const SIDE = 28;

const $ = (id) => document.getElementById(id);

/** Format a probability as "99.8 %". A value below 1 is never shown as 100, nor one above 0 as 0. */
export function percent(value, decimals = 1) {
  const step = 10 ** -(decimals + 2);
  if (value > 0 && value < step / 2) return `<${format(step)}`;
  if (value < 1 && value > 1 - step / 2) return `>${format(1 - step)}`;
  return format(value);

  function format(number) {
    return `${(100 * number).toFixed(decimals)}\u00a0%`;
  }
}

export class ResultView {
  #bars = Array.from({ length: 10 }, (_, digit) => makeBar(digit));
  #input = $("input").getContext("2d");
  #timer = 0;

  constructor() {
    $("bars").append(...this.#bars.map(({ item }) => item));
    this.clear();
  }

  /** Show a response of /api/classify. */
  show(response) {
    const { digit, confidence, runner_up: runnerUp, probabilities, image } = response;
    const found = digit !== null;
    const several = response.digits.length > 1;
    const least = Math.min(...response.digits.map((each) => each.confidence));
    const note = several ? response.sheet_note : noteOn(response);
    $("result").classList.toggle("blank", !found);
    $("result").classList.toggle("several", several);
    $("digit").textContent = several ? response.lines.join("\n") : found ? digit : "?";
    const longest = Math.max(1, ...response.lines.map((line) => line.length));
    $("digit").style.setProperty("--length", longest);
    $("confidence").textContent = several
      ? `At least ${percent(least)} confidence`
      : found ? `${percent(confidence)} confidence` : sentence(note);
    $("runner-up").textContent = several
      ? `${response.digits.length} digits`
      : found && runnerUp !== null
        ? `Second choice: ${runnerUp} (${percent(probabilities[runnerUp])})`
        : "";
    $("note").textContent = sentence(note);
    $("note").hidden = !found || !note;
    $("bars").hidden = several;
    $("digits").hidden = !several;
    $("digits").replaceChildren(...response.digits.map(makeDigit));
    $("input").closest("figure").hidden = several;
    for (const panel of ["steps", "occlusion", "activations"]) $(panel).hidden = several;
    this.#bars.forEach((bar, k) => bar.set(found ? probabilities[k] : 0, found && k === digit));
    this.#drawInput(image);
    this.#announce([
      several
        ? `Predicted ${response.lines.join(", ")}.`
        : found ? `Predicted ${digit}, ${percent(confidence, 0)} confidence.` : "",
      note ? `${sentence(note)}.` : "",
    ]);
  }

  /** Show no prediction, and `note` instead. */
  clear(note = "Nothing drawn yet") {
    this.show({
      digit: null,
      confidence: null,
      runner_up: null,
      note,
      probabilities: [],
      image: new Array(SIDE * SIDE).fill(0),
      digits: [],
      lines: [],
    });
  }

  #drawInput(image) {
    const pixels = this.#input.createImageData(SIDE, SIDE);
    image.forEach((value, k) => pixels.data.set([value, value, value, 255], 4 * k));
    this.#input.putImageData(pixels, 0, 0);
  }

  #announce(sentences) {
    clearTimeout(this.#timer);
    const text = sentences.filter(Boolean).join(" ");
    this.#timer = setTimeout(() => ($("announcement").textContent = text), ANNOUNCE_AFTER);
  }
}

/** Show a response of /api/steps or /api/activations; null removes it. */
export function showImages(details, response) {
  const items = (response?.steps ?? []).map(({ name, image }) => {
    const item = document.createElement("li");
    item.append(Object.assign(new Image(), { src: image, alt: "" }), sentence(name));
    return item;
  });
  details.querySelector("ol").replaceChildren(...items);
}

function noteOn({ note, not_a_digit: notADigit, mirrored }) {
  const doubt = mirrored ? "mirrored?" : notADigit ? "not a digit?" : "";
  return [doubt, note].filter(Boolean).join("; ");
}

function makeDigit({ digit, confidence }) {
  const item = document.createElement("li");
  item.innerHTML = "<b></b> <small></small>";
  item.firstChild.textContent = digit;
  item.lastChild.textContent = percent(confidence, 0);
  item.classList.toggle("doubtful", confidence < 0.9);
  return item;
}

/** Return a digit with its article: "a 7", "an 8". */
export function withArticle(digit) {
  return `${Number(digit) === 8 ? "an" : "a"} ${digit}`;
}

/** Capitalize a message of the server. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function makeBar(digit) {
  const item = document.createElement("li");
  const [name, track, fill, value] = ["b", "span", "i", "span"].map((tag) =>
    document.createElement(tag),
  );
  name.textContent = digit;
  track.className = "track";
  value.className = "value";
  track.append(fill);
  item.append(name, track, value);
  return {
    item,
    set(probability, best) {
      item.classList.toggle("best", best);
      fill.style.transform = `scaleX(${probability})`;
      value.textContent = probability < 0.0005 ? "0\u00a0%" : percent(probability);
    },
  };
}
