// tus 1.0 as a browser speaks it: one function a request, and refusals that say what to do next.

const VERSION = "1.0.0";
const OCTETS = "application/offset+octet-stream";
const QUIET_SENDING_MS = 30_000; // no byte leaves for so long: the connection is dead
const QUIET_WAITING_MS = 120_000; // a last answer may wait for an object store

/**
 * What a refusal wants: `later` the same again, `moved` another offset, `gone` an upload anew,
 * `token` another token, `never` somebody who reads the message.
 * @typedef {"later" | "moved" | "gone" | "token" | "never"} Wish
 */

/** Why a request did not do what it should. */
export class Refusal extends Error {
  /**
   * @param {Wish} wish
   * @param {string} message
   * @param {number} [afterS] How long to wait, where the server said so.
   */
  constructor(wish, message, afterS = 0) {
    super(message);
    this.wish = wish;
    this.afterS = afterS;
  }
}

/** @type {Record<number, [Wish, string]>} */
const MEANINGS = {
  401: ["token", "The server wants a valid access token."],
  404: ["gone", "The server does not know the upload."],
  408: ["later", "The server has waited for too long."],
  409: ["moved", "The server has another offset."],
  410: ["gone", "The upload has expired."],
  413: ["never", "The file is larger than the server takes."],
  423: ["later", "The upload is in use elsewhere."],
  429: ["later", "The server asks for a pause."],
  460: ["moved", "Bytes were damaged on their way."],
  507: ["never", "The server has no room left. Try again when there is some."],
};

/**
 * What a server can do.
 * @typedef {{ extensions: Set<string>, maxSize: number, checksum: string }} Abilities
 */

/**
 * @typedef {object} Wanted
 * @property {Record<string, string>} [fields]
 * @property {ArrayBuffer} [body]
 * @property {AbortSignal} [signal]
 * @property {(bytes: number) => void} [sent] Hears how many bytes of the body have left.
 */

/** The uploads of one server. */
export class Endpoint {
  #url;
  #token;
  /** @type {Promise<Abilities> | null} */
  #abilities = null;

  /**
   * @param {URL} url Where uploads are created.
   * @param {() => string} token
   */
  constructor(url, token) {
    this.#url = url;
    this.#token = token;
  }

  /**
   * Return what the server can do; asked once, and again where that failed.
   * @returns {Promise<Abilities>}
   */
  abilities() {
    this.#abilities ??= this.#ask().catch((error) => {
      this.#abilities = null;
      throw error;
    });
    return this.#abilities;
  }

  /**
   * Create an upload and return its id.
   * @param {number} length
   * @param {Record<string, string>} metadata
   * @param {AbortSignal} signal
   */
  async create(length, metadata, signal) {
    const fields = { "Upload-Length": String(length), "Upload-Metadata": encode(metadata) };
    const request = await this.#send("POST", "", { fields, signal });
    if (request.status === 404) throw new Refusal("never", "The server takes no new uploads.");
    expect(request, 201);
    // The id alone: by whichever name the server knows itself, this page reaches it by this one.
    const made = new URL(field(request, "Location"), this.#url);
    return made.pathname.split("/").pop() ?? "";
  }

  /**
   * Return how many bytes of an upload of `length` bytes the server has.
   * @param {string} id
   * @param {number} length
   * @param {AbortSignal} signal
   */
  async offset(id, length, signal) {
    const request = expect(await this.#send("HEAD", id, { signal }), 200);
    if (Number(field(request, "Upload-Length")) !== length) {
      throw new Refusal("gone", "The server has another file here.");
    }
    return Number(field(request, "Upload-Offset"));
  }

  /**
   * Send the bytes that come at `offset` and return the next offset.
   * @param {string} id
   * @param {number} offset
   * @param {ArrayBuffer} body
   * @param {Pick<Wanted, "signal" | "sent">} how
   */
  async append(id, offset, body, how) {
    /** @type {Record<string, string>} */
    const fields = { "Upload-Offset": String(offset), "Content-Type": OCTETS };
    const { checksum } = await this.abilities();
    if (checksum) fields["Upload-Checksum"] = `${checksum} ${await digest(checksum, body)}`;
    const request = expect(await this.#send("PATCH", id, { fields, body, ...how }), 204);
    return Number(field(request, "Upload-Offset"));
  }

  /**
   * Delete an upload, where the server allows it; one that is not there any more is fine.
   * @param {string} id
   */
  async terminate(id) {
    if (!(await this.abilities()).extensions.has("termination")) return;
    const request = await this.#send("DELETE", id, {});
    if (request.status !== 404 && request.status !== 410) expect(request, 204);
  }

  /**
   * Return where a finished upload can be downloaded.
   * @param {string} id
   */
  address(id) {
    return new URL(id, this.#url).href;
  }

  /** @returns {Promise<Abilities>} */
  async #ask() {
    const request = expect(await this.#send("OPTIONS", "", {}), 204, 200);
    return {
      extensions: new Set((request.getResponseHeader("Tus-Extension") ?? "").split(",")),
      maxSize: Number(request.getResponseHeader("Tus-Max-Size") ?? Infinity),
      checksum: chosen((request.getResponseHeader("Tus-Checksum-Algorithm") ?? "").split(",")),
    };
  }

  /**
   * Make a request; XMLHttpRequest, since fetch tells nothing of the bytes that have left.
   * @param {string} method
   * @param {string} id
   * @param {Wanted} wanted
   * @returns {Promise<XMLHttpRequest>}
   */
  #send(method, id, { fields = {}, body, signal, sent }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open(method, new URL(id, this.#url));
      request.setRequestHeader("Tus-Resumable", VERSION);
      if (this.#token()) request.setRequestHeader("Authorization", `Bearer ${this.#token()}`);
      for (const [name, value] of Object.entries(fields)) request.setRequestHeader(name, value);

      let timer = setTimeout(() => request.abort(), QUIET_SENDING_MS);
      const wait = (/** @type {number} */ ms) => {
        clearTimeout(timer);
        timer = setTimeout(() => request.abort(), ms);
      };
      const stop = () => request.abort();
      signal?.addEventListener("abort", stop);
      request.upload.onprogress = (event) => {
        wait(QUIET_SENDING_MS);
        sent?.(event.loaded);
      };
      request.upload.onload = () => wait(QUIET_WAITING_MS);
      request.onloadend = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", stop);
        if (request.status) resolve(request);
        else reject(new Refusal("later", "The connection is lost."));
      };
      if (signal?.aborted) reject(new Refusal("later", "Stopped."));
      // As a Blob: of an ArrayBuffer, tools that watch the network are sent every byte again.
      else request.send(body && new Blob([body]));
    });
  }
}

/**
 * Return `request` where its answer has one of `statuses`.
 * @param {XMLHttpRequest} request
 * @param {number[]} statuses
 */
function expect(request, ...statuses) {
  const { status } = request;
  if (statuses.includes(status)) return request;
  if (status in MEANINGS) {
    const [wish, message] = MEANINGS[status];
    throw new Refusal(wish, message, retryAfter(request));
  }
  if (status >= 500) {
    throw new Refusal("later", `The server cannot take it now (${status}).`, retryAfter(request));
  }
  const said = request.responseText.trim().slice(0, 200) || `status ${status}`;
  throw new Refusal(status === 403 ? "token" : "never", `The server refuses: ${said}`);
}

/** @param {XMLHttpRequest} request */
function retryAfter(request) {
  return Number(request.getResponseHeader("Retry-After") ?? 0) || 0; // a date is not waited for
}

/**
 * @param {XMLHttpRequest} request
 * @param {string} name
 */
function field(request, name) {
  const value = request.getResponseHeader(name);
  if (value === null) throw new Refusal("never", `What answers is no tus server: no ${name}.`);
  return value;
}

/**
 * Return which of the server's checksums the browser has too, "" for none. Web Crypto is there only
 * where the page came over TLS or from this machine.
 * @param {string[]} offered
 */
function chosen(offered) {
  if (!window.isSecureContext) return "";
  return ["sha256", "sha1"].find((name) => offered.includes(name)) ?? "";
}

/**
 * @param {string} algorithm
 * @param {ArrayBuffer} bytes
 */
async function digest(algorithm, bytes) {
  const name = algorithm === "sha1" ? "SHA-1" : "SHA-256";
  return base64(new Uint8Array(await crypto.subtle.digest(name, bytes)));
}

/**
 * Return `Upload-Metadata`; what is empty is left out.
 * @param {Record<string, string>} metadata
 */
function encode(metadata) {
  return Object.entries(metadata)
    .filter(([, value]) => value)
    .map(([key, value]) => `${key} ${base64(new TextEncoder().encode(value))}`)
    .join(",");
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
