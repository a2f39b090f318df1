// The live camera: its video lies on the sheet, and single frames of it are sent.

const MAX_SIDE = 800; // pixels of a sent frame; the server searches a digit on fewer
const INSECURE = "browsers allow the camera only on https pages and on localhost; upload a photograph instead";
const PROBLEMS = {
  NotAllowedError: "the browser does not allow this page to use the camera; allow it in the address bar, or upload a photograph",
  NotFoundError: "there is no camera; upload a photograph instead",
  NotReadableError: "the camera cannot be used; close other programs that use it, or upload a photograph",
};

export class Camera {
  onEnd = () => {}; // the camera was unplugged, or its permission taken away

  #video;
  #stream = null;

  constructor(video) {
    this.#video = video;
  }

  get live() {
    return this.#stream !== null;
  }

  /** Ask for the camera, if possible that of the back, and show it. Throws an Error with a one-line
   *  message. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(INSECURE);
    try {
      const video = { facingMode: "environment", width: { ideal: 1280 } };
      this.#stream = await navigator.mediaDevices.getUserMedia({ video });
      this.#stream.getTracks().forEach((track) => (track.onended = () => this.onEnd()));
      this.#video.srcObject = this.#stream;
      this.#video.hidden = false;
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw new Error(PROBLEMS[error.name] ?? `the camera does not work (${error.message}); upload a photograph instead`);
    }
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.#video.srcObject = null;
    this.#video.hidden = true;
  }

  /** Return the width and height of the frames. */
  get size() {
    const { videoWidth, videoHeight } = this.#video;
    const factor = Math.min(1, MAX_SIDE / Math.max(videoWidth, videoHeight));
    return [Math.round(videoWidth * factor), Math.round(videoHeight * factor)];
  }

  /** Return a promise of the current frame as a JPEG. */
  frame() {
    const canvas = new OffscreenCanvas(...this.size);
    canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    return canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  }
}
