// An upload as a line of the list: name, bar, what it does, what can be done with it.

import { duration, percent, size } from "./words.js";

/** @typedef {import("./upload.js").Upload} Upload */

/** @type {Record<import("./upload.js").State, string>} */
const TOGGLES = {
  queued: "Pause",
  sending: "Pause",
  paused: "Resume",
  waiting: "Try now",
  failed: "Try again",
  checking: "",
  done: "",
  gone: "",
};

let rows = 0;

/** One line; it draws itself anew when it is told to. */
export class Row {
  element;
  #upload;
  #downloads;
  #drawn = "";

  /**
   * @param {Upload} upload
   * @param {(upload: Upload) => string} downloads Where it can be downloaded, "" for nowhere.
   */
  constructor(upload, downloads) {
    this.#upload = upload;
    this.#downloads = downloads;
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("row"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLLIElement} */ (copy.firstElementChild);
    rows += 1;
    this.#part("name").id = `upload-${rows}`;
    this.#part("bar").setAttribute("aria-labelledby", `upload-${rows}`);
    this.#part("name").textContent = upload.path;
    for (const part of this.element.querySelectorAll(".of")) part.textContent = ` ${upload.path}`;
    this.#part("toggle").addEventListener("click", () => this.#toggle());
    this.#part("copy").addEventListener("click", () => this.#copy());
  }

  /** What takes the upload out of the list. */
  get remover() {
    return this.#part("remove");
  }

  /** Show what the upload is now. */
  draw() {
    const { state, sent, file } = this.#upload;
    const bar = /** @type {HTMLProgressElement} */ (this.#part("bar"));
    bar.max = Math.max(file.size, 1);
    bar.value = file.size ? sent : Number(state === "done");
    this.#part("state").textContent = this.#words();
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.element.dataset.state = state;
    this.#part("word", this.#part("toggle")).textContent = TOGGLES[state];
    this.#part("word", this.#part("remove")).textContent = state === "done" ? "Remove" : "Cancel";
    const toggle = this.#part("toggle");
    if (!TOGGLES[state] && toggle === document.activeElement) this.remover.focus();
    toggle.hidden = !TOGGLES[state];
    if (state === "done") this.#end();
  }

  #words() {
    const { state, sent, file, speed, message, retryAt } = this.#upload;
    const far = `${percent(sent, file.size)} % of ${size(file.size)}`;
    switch (state) {
      case "queued":
        return sent ? `Waits for its turn, ${far} sent` : `Waits for its turn, ${size(file.size)}`;
      case "sending":
        if (!speed) return far;
        return `${far}, ${size(speed)}/s, ${duration((file.size - sent) / speed)} left`;
      case "paused":
        return `Paused, ${far} sent`;
      case "waiting":
        return `${message} Next try in ${duration((retryAt - performance.now()) / 1000)}, ${far} sent`;
      case "failed":
        return message;
      case "checking":
        return `${size(file.size)} sent, computing the checksum`;
      default:
        return `Uploaded, ${size(file.size)}. ${message}`;
    }
  }

  #end() {
    const { checksum } = this.#upload;
    this.#part("checksum").hidden = !checksum;
    this.#part("digest").textContent = checksum;
    this.#part("copy").hidden = !navigator.clipboard; // not there on plain HTTP
    const link = /** @type {HTMLAnchorElement} */ (this.#part("download"));
    link.href = this.#downloads(this.#upload);
    link.hidden = !this.#downloads(this.#upload);
  }

  #toggle() {
    const { state } = this.#upload;
    if (state === "queued" || state === "sending") this.#upload.pause();
    else if (state === "waiting") this.#upload.hurry();
    else this.#upload.resume();
  }

  async #copy() {
    await navigator.clipboard.writeText(this.#upload.checksum);
    this.#part("word", this.#part("copy")).textContent = "Copied";
  }

  /**
   * @param {string} name
   * @param {HTMLElement} [within]
   */
  #part(name, within = this.element) {
    return /** @type {HTMLElement} */ (within.querySelector(`.${name}`));
  }
}
