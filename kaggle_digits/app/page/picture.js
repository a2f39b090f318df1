// Uploaded photographs: large ones are made smaller; what was read is drawn on them as boxes.

const MAX_BYTES = 10_000_000; // of an upload
const LARGE_BYTES = 2_000_000; // larger files are made smaller first
const MAX_SIDE = 2400; // pixels of the longer side; the server searches digits on 1600
const SVG = "http://www.w3.org/2000/svg";

/** Return a promise of `file`, or of a smaller JPEG of it if it is large. Throws an Error with a
 *  one-line message if it is too large and the browser cannot read it. */
export async function shrink(file) {
  if (file.size <= LARGE_BYTES) return file;
  try {
    return await convert(file, MAX_SIDE, "image/jpeg");
  } catch {
    if (file.size <= MAX_BYTES) return file; // the server reads more formats
    throw new Error("the file is larger than 10 MB and not a picture that this browser can make smaller; choose another one");
  }
}

/** Return a promise of a picture as `type`, its longer side at most `side` pixels. Rejects if the
 *  browser cannot read it. */
export async function convert(file, side, type) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const factor = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * factor)),
    Math.max(1, Math.round(bitmap.height * factor)),
  );
  const context = canvas.getContext("2d");
  if (type === "image/jpeg") {
    context.fillStyle = "white"; // behind transparent pixels
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({ type, quality: 0.92 });
}

/** Draw the boxes of a prediction into `svg`, over a picture of `width` × `height` pixels. */
export function drawBoxes(svg, prediction, width, height) {
  svg.replaceChildren();
  if (!prediction || !width) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const { digit, box, digits } = prediction;
  const found = digits.length ? digits : box ? [{ digit, box }] : [];
  const size = Math.max(width, height) / 22;
  for (const { digit, box: [left, top, right, bottom] } of found) {
    const frame = { x: left, y: top, width: right - left, height: bottom - top };
    const above = top > size * 1.1;
    const place = { x: left, y: above ? top - size * 0.25 : bottom + size };
    const name = makeElement("text", { ...place, "font-size": size, "stroke-width": size / 6 });
    name.textContent = digit;
    svg.append(makeElement("rect", frame), name);
  }
}

/** Return an element of an SVG picture with these attributes. */
export function makeElement(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
