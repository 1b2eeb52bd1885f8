// The plot of throughput: lines of an SVG, a text that says the same, and means for a table.

import { size } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 240;
const LEFT = 76;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 26;
const GAP_S = 4; // a line is broken where nothing was heard for so long
const SMOOTH = 5; // points of which a line shows the mean: parts leave in lumps
const LEAST = 1000; // bytes a second: what the plot is high at least

export const WINDOW_S = 300;

/** The lines: place in a point, name, and what they are. */
export const LINES = [
  { at: 1, name: "in", label: "In, from clients" },
  { at: 2, name: "out", label: "Out, to clients" },
  { at: 3, name: "store", label: "To the object store" },
];

/**
 * Draw `points` (`[at, in, out, store]`, in order) as they are at `now`, each the mean of five.
 * @param {SVGSVGElement} svg
 * @param {number[][]} points
 * @param {number} now
 * @param {typeof LINES} lines
 */
export function draw(svg, points, now, lines) {
  const width = Math.max(280, svg.clientWidth || 800);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const shown = smoothed(points);
  const top = ceiling(Math.max(LEAST, ...shown.flatMap((p) => lines.map((line) => p[line.at]))));
  const x = (at) => LEFT + (1 - (now - at) / WINDOW_S) * (width - LEFT - RIGHT);
  const y = (rate) => HEIGHT - BOTTOM - (rate / top) * (HEIGHT - TOP - BOTTOM);
  const parts = [];
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(part * top);
    parts.push(made("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
    const label = part ? `${size(part * top).replace(".0 ", " ")}/s` : "0";
    parts.push(made("text", { class: "scale", x: LEFT - 8, y: at + 4, "text-anchor": "end" }, label));
  }
  const step = width < 520 ? 2 : 1; // minutes between two names, so that they do not meet
  for (let minute = 0; minute <= WINDOW_S / 60; minute += step) {
    const text = minute ? `−${minute} min` : "now";
    const anchor = minute ? "middle" : "end";
    const at = Math.max(x(now - minute * 60), LEFT + 14);
    parts.push(made("text", { class: "scale", x: at, y: HEIGHT - 8, "text-anchor": anchor }, text));
  }
  for (const line of lines) {
    parts.push(made("path", { class: `line ${line.name}`, d: way(shown, line.at, x, y) }));
  }
  svg.replaceChildren(...parts);
}

/**
 * Say in words what the plot shows, a line for each of its lines.
 * @param {number[][]} points
 * @param {typeof LINES} lines
 * @returns {string}
 */
export function told(points, lines) {
  if (!points.length) return "Nothing was measured yet.";
  const minutes = Math.max(1, Math.round((points.at(-1)[0] - points[0][0]) / 60));
  const said = lines.map((line) => {
    const rates = points.map((point) => point[line.at]);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const most = Math.max(...rates);
    const now = rates.at(-1);
    return `${line.label}: ${size(now)}/s now, ${size(mean)}/s on average, ${size(most)}/s at most.`;
  });
  const over = minutes === 1 ? "The last minute:" : `The last ${minutes} minutes:`;
  return [over, ...said].join("\n");
}

/**
 * Return a row for each half minute that has points, the latest first: `[at, in, out, store]`.
 * @param {number[][]} points
 * @returns {number[][]}
 */
export function means(points) {
  const groups = new Map();
  for (const point of points) {
    const begun = Math.floor(point[0] / 30) * 30;
    groups.set(begun, [...(groups.get(begun) ?? []), point]);
  }
  const rows = [...groups].map(([begun, group]) => [
    begun,
    ...LINES.map((line) => group.reduce((sum, point) => sum + point[line.at], 0) / group.length),
  ]);
  return rows.reverse();
}

/** Return a round number not below `most`, of which a quarter is round as well. */
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 6, 8, 10].find((step) => step * power >= most) * power;
}

/** Return points that have the mean of those before them, none from beyond a gap. */
function smoothed(points) {
  let begun = 0;
  return points.map((point, at) => {
    if (at && point[0] - points[at - 1][0] > GAP_S) begun = at;
    const window = points.slice(Math.max(begun, at - SMOOTH + 1), at + 1);
    const means = LINES.map((line) => window.reduce((sum, p) => sum + p[line.at], 0) / window.length);
    return [point[0], ...means];
  });
}

function way(points, index, x, y) {
  let before = -Infinity;
  const steps = points.map((point) => {
    const step = point[0] - before > GAP_S ? "M" : "L";
    before = point[0];
    return `${step}${x(point[0]).toFixed(1)} ${y(point[index]).toFixed(1)}`;
  });
  return steps.join("");
}

function made(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}
