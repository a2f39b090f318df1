// Requests to kd app. kd app --export writes browser_model.js in its place.

const TIMEOUT = 15_000; // milliseconds; the first request with a run loads its models
const NO_SERVER = "kd app does not answer; if it was stopped, start it again: kd app";
const SLOW_SERVER = "kd app took longer than 15 seconds; draw or upload again to repeat the request";

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
