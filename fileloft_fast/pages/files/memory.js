// What outlasts a reload: which upload on the server belongs to which file, and the token.

const BEGIN = "fileloft-fast upload ";
const TOKEN = "fileloft-fast token";
const LONGEST_MS = 30 * 24 * 3600 * 1000; // no server keeps what is unfinished for longer

/** @typedef {{ id: string, path: string, size: number, offset: number, at: number }} Kept */

/** Uploads that are not finished, by file: its path, size and time of change. */
export class Memory {
  #begin;
  #store;

  /**
   * @param {string} endpoint
   * @param {Storage | null} store None where the browser keeps nothing for this page.
   */
  constructor(endpoint, store) {
    this.#begin = `${BEGIN}${endpoint} `;
    this.#store = store;
  }

  /**
   * Return what `file` is known by.
   * @param {File} file
   * @param {string} path
   */
  key(file, path) {
    return `${this.#begin}${JSON.stringify([path, file.size, file.lastModified])}`;
  }

  /**
   * @param {string} key
   * @returns {Kept | null}
   */
  recall(key) {
    const text = this.#store?.getItem(key);
    return text ? JSON.parse(text) : null;
  }

  /**
   * @param {string} key
   * @param {Kept} kept
   */
  remember(key, kept) {
    try {
      this.#store?.setItem(key, JSON.stringify(kept));
    } catch (error) {
      console.warn("this upload will not be known after a reload:", error);
    }
  }

  /** @param {string} key */
  forget(key) {
    this.#store?.removeItem(key);
  }

  /**
   * Return what was begun and not finished, the newest first; what is too old is forgotten.
   * @returns {[string, Kept][]}
   */
  unfinished() {
    /** @type {[string, Kept][]} */
    const found = [];
    for (const key of Object.keys(this.#store ?? {}).filter((name) => name.startsWith(this.#begin))) {
      const kept = this.recall(key);
      if (kept && Date.now() - kept.at < LONGEST_MS) found.push([key, kept]);
      else this.forget(key);
    }
    return found.sort(([, a], [, b]) => b.at - a.at);
  }
}

/**
 * Return the browser's store of this name, null where it is switched off.
 * @param {"localStorage" | "sessionStorage"} name
 * @returns {Storage | null}
 */
export function browserStore(name) {
  try {
    return window[name];
  } catch (error) {
    console.warn(`no ${name}:`, error);
    return null;
  }
}

/** The access token, kept for as long as the tab is open and never sent in a URL. */
export class Token {
  #store = browserStore("sessionStorage");
  #value;

  constructor() {
    this.#value = this.#store?.getItem(TOKEN) ?? "";
    this.take();
  }

  /** Take over a token that the page's URL hands in (`#token=`), which no server is sent. */
  take() {
    const handed = new URLSearchParams(location.hash.slice(1)).get("token");
    if (handed !== null) {
      this.value = handed.trim();
      history.replaceState(null, "", location.pathname + location.search);
    }
  }

  get value() {
    return this.#value;
  }

  set value(text) {
    this.#value = text;
    if (text) this.#store?.setItem(TOKEN, text);
    else this.#store?.removeItem(TOKEN);
  }
}
