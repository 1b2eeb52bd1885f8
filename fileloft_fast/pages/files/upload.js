// One file on its way: what it waits for, what it does next, and what is known of it.

import { Refusal } from "./tus.js";

/** @typedef {import("./tus.js").Endpoint} Endpoint */
/** @typedef {import("./memory.js").Memory} Memory */

/**
 * `waiting` is for the network or the server, `checking` for the hash of a file that has arrived.
 * @typedef {"queued" | "sending" | "paused" | "waiting" | "failed" | "checking" | "done" | "gone"}
 * State
 */

const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 30;

/** How many bytes a request has: about two seconds' worth, since a cut costs that much. */
class Pace {
  static LEAST = 256 * 1024;
  static MOST = 16 * 1024 * 1024;
  static AIM_MS = 2000;

  bytes = 1024 * 1024;

  /**
   * @param {number} bytes
   * @param {number} ms
   */
  took(bytes, ms) {
    const fitting = (bytes / Math.max(ms, 1)) * Pace.AIM_MS;
    this.bytes = Math.round(Math.min(Pace.MOST, 2 * this.bytes, Math.max(Pace.LEAST, fitting)));
  }

  failed() {
    this.bytes = Math.max(Pace.LEAST, this.bytes / 2);
  }
}

/** Speed over the last seconds, from how far an upload was when. */
class Meter {
  static WINDOW_MS = 5000;

  /** @type {{ at: number, bytes: number }[]} */
  #marks = [];

  /** @param {number} bytes */
  mark(bytes) {
    this.#marks.push({ at: performance.now(), bytes });
  }

  forget() {
    this.#marks = [];
  }

  /** Bytes a second until now; 0 where it is too early to tell, or nothing moves. */
  get speed() {
    const now = performance.now();
    this.#marks = this.#marks.filter(({ at }) => now - at < Meter.WINDOW_MS);
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (!first || !last || now - first.at < 500) return 0;
    return ((last.bytes - first.bytes) / (now - first.at)) * 1000;
  }
}

/** A file's upload; tells of every change by the event `change`. */
export class Upload extends EventTarget {
  /** @type {State} */
  state = "queued";
  /** Bytes that have left; those that the server has said it holds are in `#offset`. */
  sent = 0;
  /** Why it waits or has failed. */
  message = "";
  /** When it tries again, by `performance.now()`. */
  retryAt = 0;
  /** Whether another token may help. */
  wantsToken = false;
  /** SHA-256 of the file, once known. */
  checksum = "";
  /** Where the upload is, "" before it is created. */
  id = "";

  /** @type {number | null} */
  #offset = null;
  #pace = new Pace();
  #meter = new Meter();
  #stop = new AbortController();
  /** @type {() => void} */
  #wake = () => {};
  /** @type {Worker | null} */
  #hasher = null;
  /** @type {Promise<import("./hash.js").Hashed> | null} */
  #hashed = null;
  #endpoint;
  #memory;

  /**
   * @param {File} file
   * @param {string} path The file's name, behind its folders where it came with some.
   * @param {Endpoint} endpoint
   * @param {Memory} memory
   */
  constructor(file, path, endpoint, memory) {
    super();
    this.file = file;
    this.path = path;
    this.key = memory.key(file, path);
    this.#endpoint = endpoint;
    this.#memory = memory;
    const kept = memory.recall(this.key);
    if (kept) {
      this.id = kept.id;
      this.sent = kept.offset;
    }
  }

  /** Bytes a second, 0 where it is not known. */
  get speed() {
    return this.state === "sending" ? this.#meter.speed : 0;
  }

  /** Whether it holds one of the places of those that run. */
  get running() {
    return this.state === "sending" || this.state === "waiting" || this.state === "checking";
  }

  /** Whether nothing more comes of it unless somebody wants it. */
  get over() {
    return this.state === "done" || this.state === "gone";
  }

  /** Send, wait and send again, until it is done, has failed or is stopped. */
  async run() {
    const stop = (this.#stop = new AbortController());
    this.#become("sending");
    let failures = 0;
    while (!stop.signal.aborted) {
      try {
        await this.#advance(stop.signal, () => (failures = 0));
        return await this.#check(stop.signal);
      } catch (error) {
        if (stop.signal.aborted) return;
        failures += 1;
        this.#offset = null; // whatever went wrong, the server knows best what it has
        this.#pace.failed();
        this.#meter.forget();
        if (!(await this.#mayGoOn(error, failures, stop.signal))) return;
      }
    }
  }

  pause() {
    this.#stop.abort();
    this.#offset = null;
    this.#meter.forget();
    this.#become("paused");
  }

  /** Line up again, after a pause or a failure. */
  resume() {
    this.#become("queued");
  }

  /** Try now what would have been tried later. */
  hurry() {
    this.#wake();
  }

  /** Stop, and have the server forget what it has; a finished upload stays. */
  async cancel() {
    const finished = this.state === "done";
    this.#stop.abort();
    this.#hasher?.terminate();
    this.#memory.forget(this.key);
    this.#become("gone");
    if (this.id && !finished) await this.#endpoint.terminate(this.id);
  }

  /**
   * Bring the server's copy as far as it goes.
   * @param {AbortSignal} signal
   * @param {() => void} progressed
   */
  async #advance(signal, progressed) {
    const { size } = this.file;
    const { maxSize } = await this.#endpoint.abilities();
    if (size > maxSize) throw new Refusal("never", "The file is larger than the server takes.");
    if (!this.id) {
      this.id = await this.#endpoint.create(size, this.#metadata(), signal);
      this.#reached(0);
    }
    if (this.#offset === null) this.#reached(await this.#endpoint.offset(this.id, size, signal));
    this.#hash(); // not earlier: the worker's code comes over the same network
    while (this.#offset !== null && this.#offset < size) {
      await this.#sendPiece(this.#offset, signal);
      progressed();
    }
  }

  /**
   * @param {number} offset
   * @param {AbortSignal} signal
   */
  async #sendPiece(offset, signal) {
    const piece = await this.file.slice(offset, offset + this.#pace.bytes).arrayBuffer();
    const began = performance.now();
    const sent = (/** @type {number} */ bytes) => this.#moved(offset + bytes);
    const next = await this.#endpoint.append(this.id, offset, piece, { signal, sent });
    if (next <= offset) throw new Refusal("later", "The server takes no bytes.");
    this.#pace.took(next - offset, performance.now() - began);
    this.#reached(next);
  }

  /**
   * Wait for the hash, which is most often there already.
   * @param {AbortSignal} signal
   */
  async #check(signal) {
    this.#become("checking");
    await this.#hash();
    const hashed = await this.#hash(); // the same, unless that one did not start
    if (signal.aborted) return;
    if ("hex" in hashed) this.checksum = hashed.hex;
    else this.message = `No checksum: ${hashed.wrong}`;
    this.#memory.forget(this.key);
    this.#become("done");
  }

  /**
   * Decide what comes after an error; wait where it is the same again, a little later.
   * @param {unknown} error
   * @param {number} failures
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>}
   */
  async #mayGoOn(error, failures, signal) {
    if (!(error instanceof Refusal)) {
      this.#fail(`The file cannot be read: it was changed, moved or deleted. (${error})`);
      return false;
    }
    if (error.wish === "never" || error.wish === "token") {
      this.wantsToken = error.wish === "token";
      this.#fail(error.message);
      return false;
    }
    if (error.wish === "gone") {
      this.id = "";
      this.sent = 0;
      this.#memory.forget(this.key);
    }
    if (failures > 1 || error.wish === "later") await this.#pauseFor(error, failures, signal);
    return true;
  }

  /**
   * @param {Refusal} error
   * @param {number} failures
   * @param {AbortSignal} signal
   */
  async #pauseFor(error, failures, signal) {
    const backoff = Math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (failures - 1));
    const ms = Math.max(error.afterS, backoff * (0.75 + Math.random() / 2)) * 1000;
    this.message = error.message;
    this.retryAt = performance.now() + ms;
    this.#become("waiting");
    await new Promise((resolve) => {
      const wake = (this.#wake = () => {
        clearTimeout(timer);
        window.removeEventListener("online", wake);
        signal.removeEventListener("abort", wake);
        resolve(undefined);
      });
      const timer = setTimeout(wake, ms);
      window.addEventListener("online", wake);
      signal.addEventListener("abort", wake);
    });
    if (!signal.aborted) this.#become("sending");
  }

  /** Begin to hash the file, once. */
  #hash() {
    this.#hashed ??= new Promise((resolve) => {
      const hasher = (this.#hasher = new Worker(new URL("hash.js", import.meta.url), {
        type: "module",
      }));
      const end = (/** @type {import("./hash.js").Hashed} */ hashed) => {
        hasher.terminate();
        resolve(hashed);
      };
      hasher.onmessage = (event) => end(event.data);
      hasher.onerror = (event) => {
        this.#hashed = null; // its code did not come: the next time it is wanted, it may
        end({ wrong: event.message ?? "its code does not load" });
      };
      hasher.postMessage(this.file);
    });
    return this.#hashed;
  }

  #metadata() {
    const relativePath = this.path === this.file.name ? "" : this.path;
    return { filename: this.file.name, filetype: this.file.type, relativePath };
  }

  /** @param {number} offset */
  #reached(offset) {
    const { size } = this.file;
    this.#offset = offset;
    this.#memory.remember(this.key, { id: this.id, path: this.path, size, offset, at: Date.now() });
    this.#moved(offset);
  }

  /** @param {number} bytes */
  #moved(bytes) {
    this.sent = bytes;
    this.#meter.mark(bytes);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} message */
  #fail(message) {
    this.message = message;
    this.#become("failed");
  }

  /** @param {State} state */
  #become(state) {
    if (state === "queued" || state === "sending") {
      this.message = "";
      this.wantsToken = false;
    }
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
