// What the model reads: the digit, how sure it is, ten bars, and the image that it sees.

const SPOKEN_AFTER = 600; // milliseconds of rest before a screen reader hears of it
const SIDE = 28;

const $ = (id) => document.getElementById(id);

/** A share as "99.8 %"; never 100 for what is a little less, nor 0 for what is a little more. */
export function percent(share, places = 1) {
  const least = 10 ** -(places + 2);
  if (share > 0 && share < least / 2) return `<${show(least)}`;
  if (share < 1 && share > 1 - least / 2) return `>${show(1 - least)}`;
  return show(share);

  function show(value) {
    return `${(100 * value).toFixed(places)}\u00a0%`;
  }
}

export class ReadingView {
  #rows = Array.from({ length: 10 }, (_, digit) => row(digit));
  #seen = $("seen").getContext("2d");
  #timer = 0;

  constructor() {
    $("bars").append(...this.#rows.map(({ item }) => item));
    this.blank();
  }

  show(reading) {
    const { digit, confidence, runner_up: second, note, probabilities, image } = reading;
    const found = digit !== null;
    $("answer").classList.toggle("blank", !found);
    $("digit").textContent = found ? digit : "?";
    $("sure").textContent = found ? `${percent(confidence)} sure` : sentence(note);
    $("second").textContent =
      found && second !== null
        ? `Second guess: ${second} (${percent(probabilities[second])})`
        : "";
    $("note").textContent = sentence(note);
    $("note").hidden = !found || !note;
    this.#rows.forEach((bar, k) => bar.set(found ? probabilities[k] : 0, found && k === digit));
    this.#draw(image);
    this.#say([
      found ? `Reads ${digit}, ${percent(confidence, 0)} sure.` : "",
      note ? `${sentence(note)}.` : "",
    ]);
  }

  blank(words = "Nothing drawn yet") {
    this.show({
      digit: null,
      confidence: null,
      runner_up: null,
      note: words,
      probabilities: [],
      image: new Array(SIDE * SIDE).fill(0),
    });
  }

  #draw(image) {
    const pixels = this.#seen.createImageData(SIDE, SIDE);
    image.forEach((value, k) => pixels.data.set([value, value, value, 255], 4 * k));
    this.#seen.putImageData(pixels, 0, 0);
  }

  #say(words) {
    clearTimeout(this.#timer);
    const text = words.filter(Boolean).join(" ");
    this.#timer = setTimeout(() => ($("spoken").textContent = text), SPOKEN_AFTER);
  }
}

/** A one-line message of the server as a sentence's beginning. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function row(digit) {
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
    set(share, best) {
      item.classList.toggle("best", best);
      fill.style.transform = `scaleX(${share})`;
      value.textContent = share < 0.0005 ? "0\u00a0%" : percent(share);
    },
  };
}
