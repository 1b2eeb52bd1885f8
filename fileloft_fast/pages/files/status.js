// The status page: connects, shows what it is told, says when that is old, connects again.

import { listen, Refused } from "./events.js";
import { draw, LINES, means, told, WINDOW_S } from "./plot.js";
import { duration, percent, size } from "./words.js";

const KEY = "fileloft-status-key"; // in the session's storage: gone with the tab
const EVENTS = "status/events";
const OLD_S = 5;
const PAUSES_S = [0.5, 1, 2, 3, 5];
const REASONS = {
  draining: "The server is stopping",
  disk_low: "The disk is nearly full",
  disk_failing: "The disk fails",
  store_unreachable: "The object store cannot be reached",
};
const ORDERS = {
  slowest: (a, b) => a.rate - b.rate || b.age - a.age,
  largest: (a, b) => (b.length ?? b.offset) - (a.length ?? a.offset),
  oldest: (a, b) => b.age - a.age,
};

const $ = (id) => document.getElementById(id);
const rows = new Map(); // the table's rows by upload and client: one that is selected stays
let points = [];
let latest = null;
let heardAt = 0;
let skew = 0; // the server's clock against ours, in seconds
let running = new AbortController();

// -- connecting ----------------------------------------------------------------------------------

async function run(key) {
  running.abort();
  const mine = (running = new AbortController());
  $("key-form").hidden = true;
  $("forget").hidden = false;
  say("waiting", "Connecting …");
  for (let tries = 0; !mine.signal.aborted; tries += 1) {
    let wait = 0;
    let busy = false;
    try {
      await listen(EVENTS, key, mine.signal, () => say("live", "Connected"), (name, data) => {
        tries = 0;
        hear(name, data);
      });
    } catch (error) {
      if (mine.signal.aborted) return;
      if (error instanceof Refused && refuse(error)) return;
      wait = error.wait ?? 0;
      busy = error instanceof Refused;
    }
    if (mine.signal.aborted) return;
    say("waiting", busy ? "The server is busy; trying again …" : "Connection lost; trying again …");
    const pause = Math.max(wait, PAUSES_S[Math.min(tries, PAUSES_S.length - 1)]);
    await new Promise((resume) => setTimeout(resume, pause * 1000 * (0.8 + Math.random() * 0.4)));
  }
}

/** Ask for another key where that is what is wrong; return whether it is. */
function refuse({ status, wait }) {
  const said = {
    401: "This key is wrong.",
    403: "This token does not allow it.",
    404: "This server has no status page.",
    429: `Too many wrong keys; try again in ${duration(wait || 6)}.`,
  }[status];
  if (!said) return false;
  ask(said);
  return true;
}

function ask(refusal) {
  running.abort();
  sessionStorage.removeItem(KEY);
  $("shown").hidden = true;
  $("forget").hidden = true;
  $("key-form").hidden = false;
  $("refusal").textContent = refusal;
  $("key").setAttribute("aria-invalid", String(refusal !== ""));
  $("key").value = "";
  $("key").focus();
  say("out", "Not connected");
}

function say(state, words) {
  document.body.dataset.state = state;
  if ($("news").textContent !== words) $("news").textContent = words; // read out, so only once
}

// -- hearing -------------------------------------------------------------------------------------

function hear(name, data) {
  if (name === "history") {
    const known = new Set(points.map((point) => point[0]));
    points = [...points, ...data.filter((point) => !known.has(point[0]))];
    points.sort((a, b) => a[0] - b[0]);
  } else if (name === "snapshot") {
    latest = data;
    heardAt = performance.now();
    skew = data.at - Date.now() / 1000;
    if (data.rates) {
      points.push([data.at, data.rates.received, data.rates.sent, data.rates.shipped]);
    }
    points = points.filter((point) => point[0] > data.at - WINDOW_S);
    $("shown").hidden = false;
    say("live", "Connected");
    show(data);
    age();
  }
}

/** Say how old what is shown is, where it is. */
function age() {
  if (latest === null) return;
  const since = (performance.now() - heardAt) / 1000;
  const old = since > OLD_S;
  $("shown").classList.toggle("old", old);
  $("old").hidden = !old;
  if (old) {
    if (document.body.dataset.state === "live") say("waiting", "Nothing new comes from the server.");
    $("old").textContent = `These figures are ${duration(since)} old.`;
    plot(); // time goes on without them
  }
}

// -- showing -------------------------------------------------------------------------------------

function show(data) {
  const rates = data.rates;
  const rate = (value) => (rates ? `${size(value())}/s` : "–");
  const often = (value) => (rates ? `${perSecond(value())}/s` : "–");
  figures("now", [
    ["In", rate(() => rates.received)],
    ["Out", rate(() => rates.sent)],
    ["Requests", often(() => rates.requests)],
    ["Errors", often(() => rates.errors)],
    ["Connections", count(data.connections)],
    ["Uploads worked on", count(data.held)],
    ["Free disk", size(data.disk_free)],
    ["Workers", count(data.workers)],
  ]);
  figures("totals", [
    ["Received", size(data.totals.received)],
    ["Sent", size(data.totals.sent)],
    ["Requests", count(data.totals.requests)],
    ["Refused (4xx)", count(data.totals.refused)],
    ["Failed (5xx)", count(data.totals.failed)],
    ["Uploads created", count(data.totals.created)],
    ["Uploads finished", count(data.totals.finished)],
    ["Workers restarted", count(data.restarts)],
  ]);
  $("flush").hidden = data.flushing === null;
  if (data.flushing) flushing(data.flushing, rates);
  health(data);
  plot();
  uploads(data);
  const several = data.workers > 1;
  const where = several ? `process ${data.process}, one of ${count(data.workers)}` : `process ${data.process}`;
  $("about").textContent =
    `fileloft-fast ${data.version}, backend ${data.backend}, up for ${duration(data.up)}; told by ${where}.` +
    (several ? " Figures are of all workers, running uploads of this one." : "");
  $("none").textContent = several ? "No upload is running in this process." : "No upload is running.";
}

function flushing(told, rates) {
  const queue = Object.values(told.queue).reduce((sum, waiting) => sum + waiting, 0);
  figures("flushing", [
    ["Store", told.away ? "away" : "there"],
    ["To the store", rates ? `${size(rates.shipped)}/s` : "–"],
    ["Uploads on their way", count(told.shipments)],
    ["Waiting for their turn", count(queue)],
    ["Bytes that wait", size(told.waiting_bytes)],
    ["In the spool", size(told.spool_bytes)],
    ["Stored in a minute", count(told.stored)],
    ["Lag until stored", told.lag === null ? "–" : seconds(told.lag)],
  ]);
}

function health(data) {
  const wrong = data.reasons ?? [];
  const lines = wrong.map((reason) => ["bad", REASONS[reason] ?? reason]);
  if (data.flushing?.away && !wrong.includes("store_unreachable")) {
    lines.push(["warm", "The object store is away; uploads wait in the spool"]);
  }
  if (data.reasons === null) lines.push(["quiet", "Being looked at …"]);
  else if (!lines.length) lines.push(["good", "Ready for uploads"]);
  const made = lines.map(([kind, words]) => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = words;
    return item;
  });
  const same = $("health").textContent === made.map((item) => item.textContent).join("");
  if (!same) $("health").replaceChildren(...made);
}

function figures(id, pairs) {
  const list = $(id);
  if (list.children.length !== pairs.length) {
    list.replaceChildren(
      ...pairs.map(([name]) => {
        const box = document.createElement("div");
        const term = document.createElement("dt");
        term.textContent = name;
        box.append(term, document.createElement("dd"));
        return box;
      }),
    );
  }
  pairs.forEach(([, value], at) => {
    list.children[at].lastChild.textContent = value;
  });
}

function lines() {
  return LINES.filter((line) => line.name !== "store" || latest?.flushing);
}

function plot() {
  const shown = lines();
  draw($("plot"), points, Date.now() / 1000 + skew, shown);
  const words = told(points, shown);
  if ($("plot-text").textContent !== words) $("plot-text").textContent = words;
  if ($("legend").children.length !== shown.length) {
    $("legend").replaceChildren(...shown.map((line) => legend(line)));
    const names = ["From", ...shown.map((line) => line.label)].map((name) => cell("th", name));
    for (const each of names) each.scope = "col";
    const row = document.createElement("tr");
    row.append(...names);
    $("means").tHead.replaceChildren(row);
  }
  if (!$("means").closest("details").open) return;
  $("means").tBodies[0].replaceChildren(
    ...means(points).map((mean) => {
      const row = document.createElement("tr");
      const begun = cell("th", new Date((mean[0] - skew) * 1000).toLocaleTimeString());
      begun.scope = "row";
      row.append(begun, ...shown.map((line) => cell("td", `${size(mean[line.at])}/s`)));
      return row;
    }),
  );
}

function legend(line) {
  const item = document.createElement("li");
  item.className = line.name;
  item.textContent = line.label;
  return item;
}

function cell(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

// -- uploads -------------------------------------------------------------------------------------

function uploads(data) {
  const sorted = [...data.uploads].sort(ORDERS[$("order").value]);
  const names = sorted.map((upload) => `${upload.id} ${upload.client}`);
  for (const [name, row] of rows) {
    if (!names.includes(name)) {
      row.remove();
      rows.delete(name);
    }
  }
  const body = $("uploads").tBodies[0];
  sorted.forEach((upload, at) => {
    const row = rows.get(names[at]) ?? row_of(upload);
    rows.set(names[at], row);
    fill(row, upload);
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
  });
  $("none").hidden = sorted.length > 0;
  $("uploads-region").hidden = sorted.length === 0;
  $("more").textContent = data.more ? `${count(data.more)} more, all of them faster, are not shown.` : "";
}

function row_of(upload) {
  const row = document.createElement("tr");
  const name = cell("th", upload.id || "–");
  name.scope = "row";
  const done = document.createElement("td");
  done.append(document.createElement("progress"), document.createElement("span"));
  const number = () => Object.assign(document.createElement("td"), { className: "number" });
  row.append(name, cell("td", ""), number(), done, number(), number(), cell("td", upload.client || "–"));
  return row;
}

function fill(row, { state, offset, length, rate, age: old }) {
  const [, kind, bytes, done, speed, since] = row.children;
  kind.textContent = state;
  bytes.textContent = length === null ? size(offset) : `${size(offset)} of ${size(length)}`;
  const [bar, words] = done.children;
  bar.hidden = length === null;
  bar.setAttribute("aria-hidden", "true"); // the words beside it say the same
  if (length !== null) {
    bar.max = length || 1;
    bar.value = length ? offset : 1;
  }
  words.textContent = length === null ? "length unknown" : `${percent(offset, length)} %`;
  speed.textContent = `${size(rate)}/s`;
  since.textContent = duration(old);
}

function count(value) {
  return Math.round(value).toLocaleString("en");
}

function perSecond(value) {
  return value && value < 10 ? value.toFixed(1) : count(value);
}

function seconds(value) {
  return value < 1 ? `${Math.round(value * 1000)} ms` : value < 10 ? `${value.toFixed(1)} s` : duration(value);
}

// -- beginning -----------------------------------------------------------------------------------

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = $("key").value.trim();
  if (!key) return;
  sessionStorage.setItem(KEY, key);
  $("refusal").textContent = "";
  run(key);
});
$("forget").addEventListener("click", () => {
  points = [];
  latest = null;
  ask("");
});
$("order").addEventListener("change", () => latest && uploads(latest));
$("means").closest("details").addEventListener("toggle", plot);
new ResizeObserver(() => latest && plot()).observe($("plot"));
setInterval(age, 1000);

const kept = sessionStorage.getItem(KEY);
if (kept) run(kept);
else ask("");
