// The page: takes files, shows their uploads, and says now and then how they are doing.

import { takeChosen, takeDropped } from "./chosen.js";
import { Memory, Token, browserStore } from "./memory.js";
import { Queue } from "./queue.js";
import { Row } from "./row.js";
import { Endpoint } from "./tus.js";
import { Upload } from "./upload.js";
import { duration, percent, size } from "./words.js";

const REDRAW_MS = 250;
const QUARTER = 25;

/** @type {<T extends HTMLElement = HTMLElement>(id: string) => T} */
const part = (id) => /** @type {any} */ (document.getElementById(id));
const said = (/** @type {string} */ name) =>
  document.querySelector(`meta[name=${name}]`)?.getAttribute("content") ?? "";

const token = new Token();
const url = new URL(said("endpoint"), document.baseURI);
const endpoint = new Endpoint(url, () => token.value);
const memory = new Memory(url.pathname, browserStore("localStorage"));
const queue = new Queue(() => redraw());
/** @type {Map<Upload, Row>} */
const rows = new Map();

// -- what is shown --------------------------------------------------------------------------------

let drawing = 0;
let drawnAt = -Infinity;

/** Draw soon, a few times a second at most, and once more after the last change. */
function redraw() {
  if (drawing) return;
  drawing = setTimeout(draw, Math.max(0, drawnAt + REDRAW_MS - performance.now()));
}

function draw() {
  drawing = 0;
  drawnAt = performance.now();
  for (const [upload, row] of rows) {
    row.draw();
    announce(upload);
  }
  drawTotal();
  if (queue.uploads.some((upload) => upload.running)) redraw(); // time passes
}

function drawTotal() {
  const { done, files, sent, size: whole, speed } = queue.total;
  const far = percent(sent, whole);
  part("uploads").hidden = !files;
  const left = speed ? `, ${size(speed)}/s, ${duration((whole - sent) / speed)} left` : "";
  part("total").textContent = `${done} of ${files} done, ${far} % of ${size(whole)}${left}`;
  document.title = queue.busy ? `${far} % – Upload` : "Upload";
  if (queue.busy) announceQuarter(far);
}

/** Show what was begun before a reload and is not in the list. */
function drawUnfinished() {
  const items = memory.unfinished().filter(([key]) => !queue.find(key));
  part("unfinished").hidden = !items.length;
  part("unfinished-list").replaceChildren(
    ...items.map(([key, kept]) => {
      const item = document.createElement("li");
      const text = document.createElement("p");
      const name = document.createElement("strong");
      name.textContent = kept.path;
      text.append(name, ` ${percent(kept.offset, kept.size)} % of ${size(kept.size)}`);
      const forget = document.createElement("button");
      forget.type = "button";
      forget.textContent = "Forget";
      forget.setAttribute("aria-label", `Forget ${kept.path}`);
      forget.addEventListener("click", () => {
        memory.forget(key);
        drawUnfinished();
        part("files").focus();
        endpoint.terminate(kept.id).catch(console.warn); // else it expires
      });
      item.append(text, forget);
      return item;
    }),
  );
}

// -- what is said to those who do not see ---------------------------------------------------------

/** @type {string[]} */
let news = [];
/** @type {WeakMap<Upload, string>} */
const announced = new WeakMap();
let quarter = 0;

/** @param {Upload} upload */
function announce(upload) {
  const { state, path, message } = upload;
  if (announced.get(upload) === state) return;
  announced.set(upload, state);
  if (state === "done") tell(`${path} is uploaded.`);
  if (state === "failed") tell(`${path} has failed: ${message}`);
  if (state === "waiting") tell(`${path} waits: ${message}`);
}

/** @param {number} far In percent, of all uploads. */
function announceQuarter(far) {
  const now = Math.floor(far / QUARTER);
  if (now > quarter && now < 100 / QUARTER) tell(`${now * QUARTER} % of everything is sent.`);
  quarter = now;
}

/** @param {string} text Several at once are read as one. */
function tell(text) {
  news.push(text);
  if (news.length > 1) return;
  setTimeout(() => {
    part("news").textContent = news.join(" ");
    news = [];
  }, REDRAW_MS);
}

// -- what people do -------------------------------------------------------------------------------

/** @param {import("./chosen.js").Chosen[]} files */
function take(files) {
  for (const { file, path } of files) {
    const known = queue.find(memory.key(file, path));
    if (known?.state === "paused" || known?.state === "failed") known.resume();
    if (!known) add(new Upload(file, path, endpoint, memory));
  }
  drawUnfinished();
}

/** @param {Upload} upload */
function add(upload) {
  const row = new Row(upload, downloads);
  rows.set(upload, row);
  part("list").append(row.element);
  row.remover.addEventListener("click", () => remove(upload, row));
  upload.addEventListener("change", () => {
    if (upload.wantsToken) part("access").setAttribute("open", "");
  });
  queue.add(upload);
}

/**
 * @param {Upload} upload
 * @param {Row} row
 */
function remove(upload, row) {
  const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
  const focus = /** @type {HTMLElement | null} */ (next?.querySelector(".remove") ?? part("files"));
  rows.delete(upload);
  row.element.remove();
  focus?.focus();
  upload.cancel().catch(console.warn); // what cannot be deleted now expires
}

/**
 * Return the address for a link; a link has no place for a token.
 * @param {Upload} upload
 */
function downloads(upload) {
  return said("downloads") === "on" && !token.value ? endpoint.address(upload.id) : "";
}

/** Try again what another token may help. */
function retryRefused() {
  for (const upload of queue.uploads.filter((each) => each.wantsToken)) upload.resume();
}

for (const id of ["files", "folder"]) {
  const input = /** @type {HTMLInputElement} */ (part(id));
  input.addEventListener("change", () => take(takeChosen(input)));
}

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  part("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) part("drop").classList.remove("over");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  part("drop").classList.remove("over");
  if (event.dataTransfer) take(await takeDropped(event.dataTransfer));
});

const typed = /** @type {HTMLInputElement} */ (part("token"));
typed.value = token.value;
part("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.value = typed.value.trim();
  tell(token.value ? "The token is in use." : "No token is in use.");
  retryRefused();
});
window.addEventListener("hashchange", () => {
  token.take();
  typed.value = token.value;
  retryRefused();
});

window.addEventListener("beforeunload", (event) => {
  if (queue.busy) event.preventDefault();
});

endpoint.abilities().then(({ maxSize }) => {
  if (maxSize < Infinity) part("limit").textContent = `Up to ${size(maxSize)} each.`;
}, console.warn); // asked again when there is something to send
drawUnfinished();
