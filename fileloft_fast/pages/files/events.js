// Server-sent events by fetch: EventSource can send no key.

const SILENCE_MS = 25_000; // two and a half of the server's heartbeats

/** The server refuses; `status` says why, `wait` when to come again (seconds, 0 where not said). */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {number} wait
   */
  constructor(status, wait) {
    super(`refused: ${status}`);
    this.status = status;
    this.wait = wait;
  }
}

/**
 * Call `tell(name, data)` for each event until the stream ends; then return.
 * Throws Refused, and what fetch throws where the connection breaks or nothing is heard.
 * @param {string} url
 * @param {string} key
 * @param {AbortSignal} signal
 * @param {() => void} open
 * @param {(name: string, data: unknown) => void} tell
 */
export async function listen(url, key, signal, open, tell) {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE_MS);
  };
  try {
    const answer = await fetch(url, {
      headers: { Authorization: `Bearer ${key}` },
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.any([signal, silent.signal]),
    });
    if (!answer.ok) {
      throw new Refused(answer.status, Number(answer.headers.get("Retry-After")) || 0);
    }
    open();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const fields = new Map(event.split("\n").map((line) => split(line)));
        if (fields.has("data")) tell(fields.get("event") ?? "message", JSON.parse(fields.get("data")));
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

function split(line) {
  const at = line.indexOf(": ");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 2)];
}
