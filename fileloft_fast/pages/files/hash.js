// A worker that hashes one file from its start to its end, beside the upload and at its own pace.

import { Sha256 } from "./sha256.js";

const PIECE_BYTES = 4 * 1024 * 1024;

/** @typedef {{ hex: string } | { wrong: string }} Hashed */

/**
 * @param {File} file
 * @returns {Promise<Hashed>}
 */
async function hash(file) {
  const digest = new Sha256();
  try {
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
      const piece = await file.slice(at, at + PIECE_BYTES).arrayBuffer();
      digest.update(new Uint8Array(piece));
    }
  } catch (error) {
    return { wrong: String(error) };
  }
  return { hex: digest.hex() };
}

self.addEventListener("message", async (/** @type {MessageEvent<File>} */ event) => {
  self.postMessage(await hash(event.data));
});
