// @ts-check
// Numbers and times as people read them, with their units, which a line break never parts from them. What is not
// known is said as a dash.

export const UNKNOWN = '–';

/** @param {number | null | undefined} share 0..1 */
export function percent(share, digits = 0) {
  return isNumber(share) ? `${(share * 100).toFixed(digits)} %` : UNKNOWN;
}

/** @param {number | null | undefined} perSecond */
export function rate(perSecond) {
  return isNumber(perSecond) ? `${figure(perSecond)} req/s` : UNKNOWN;
}

/** Three digits that count. @param {number | null | undefined} value */
export function figure(value) {
  if (!isNumber(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
}

/** @param {number | null | undefined} value */
export function weight(value) {
  return isNumber(value) ? String(Math.round(value * 100) / 100) : UNKNOWN;
}

/** @param {number | null | undefined} ms milliseconds */
export function duration(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${Number(ms.toPrecision(3))} ms`;
  if (ms < 120_000) return `${Number((ms / 1000).toPrecision(3))} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Number((ms / 3_600_000).toPrecision(3))} h`;
}

/** Local time of day. @param {number | string | undefined} at milliseconds or ISO 8601 */
export function clock(at) {
  if (at === undefined) return UNKNOWN;
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** The same, with the day where it is another one. @param {number | string | undefined} at @param {number} [now] milliseconds */
export function moment(at, now = Date.now()) {
  if (at === undefined) return UNKNOWN;
  const date = new Date(at);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return clock(at);
  const year = date.getFullYear() === today.getFullYear() ? {} : /** @type {const} */ ({ year: 'numeric' });
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', ...year });
  return `${day} ${clock(at).slice(0, 5)}`;
}

/** `3 shards`, `1 shard`. @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** Value of a `datetime-local` field, which has no zone. @param {number} ms */
export function localField(ms) {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {unknown} value @returns {value is number} */
function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}
