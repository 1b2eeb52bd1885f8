// Numbers as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * Return a size in decimal units, as file managers show it.
 * @param {number} bytes
 * @returns {string}
 */
export function size(bytes) {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * Return a duration in its two largest units at most.
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * Return how much of `size` is there; 100 % only where everything is.
 * @param {number} bytes
 * @param {number} whole
 * @returns {number}
 */
export function percent(bytes, whole) {
  return bytes >= whole ? 100 : Math.floor((bytes / whole) * 100);
}
