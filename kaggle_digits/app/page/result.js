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
  show({ digit, confidence, runner_up: runnerUp, note, probabilities, image }) {
    const found = digit !== null;
    $("result").classList.toggle("blank", !found);
    $("digit").textContent = found ? digit : "?";
    $("confidence").textContent = found ? `${percent(confidence)} confidence` : sentence(note);
    $("runner-up").textContent =
      found && runnerUp !== null
        ? `Second choice: ${runnerUp} (${percent(probabilities[runnerUp])})`
        : "";
    $("note").textContent = sentence(note);
    $("note").hidden = !found || !note;
    this.#bars.forEach((bar, k) => bar.set(found ? probabilities[k] : 0, found && k === digit));
    this.#drawInput(image);
    this.#announce([
      found ? `Predicted ${digit}, ${percent(confidence, 0)} confidence.` : "",
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
