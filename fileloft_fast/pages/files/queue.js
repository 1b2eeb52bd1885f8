// Every upload of the page, in the order in which they were chosen, a few of them at once.

/** @typedef {import("./upload.js").Upload} Upload */

const AT_ONCE = 3;

/** The uploads there are; starts the next one whenever a place is free. */
export class Queue {
  /** @type {Upload[]} */
  uploads = [];
  #changed;

  /** @param {() => void} changed Hears of every change of any upload. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** @param {Upload} upload */
  add(upload) {
    this.uploads.push(upload);
    upload.addEventListener("change", () => {
      if (upload.state === "gone") this.uploads = this.uploads.filter((each) => each !== upload);
      this.#start();
      this.#changed();
    });
    this.#start();
    this.#changed();
  }

  /**
   * Return the upload of the file that `key` stands for, if it is in the list and not over.
   * @param {string} key
   */
  find(key) {
    return this.uploads.find((upload) => upload.key === key && !upload.over);
  }

  /** Whether leaving the page would stop something. */
  get busy() {
    return this.uploads.some((upload) => upload.running || upload.state === "queued");
  }

  /** How far all of them are: files that are done, bytes, speed. */
  get total() {
    const total = { done: 0, files: this.uploads.length, sent: 0, size: 0, speed: 0 };
    for (const upload of this.uploads) {
      total.done += upload.state === "done" ? 1 : 0;
      total.sent += upload.sent;
      total.size += upload.file.size;
      total.speed += upload.speed;
    }
    return total;
  }

  #start() {
    let free = AT_ONCE - this.uploads.filter((upload) => upload.running).length;
    for (const upload of this.uploads) {
      if (free <= 0) return;
      if (upload.state !== "queued") continue;
      free -= 1;
      upload.run();
    }
  }
}
