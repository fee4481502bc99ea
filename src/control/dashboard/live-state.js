// @ts-check
// What the page knows: one value, made anew with every message. Pure; who asks and who draws is elsewhere.

import { withPoint } from './chart-data.js';

/** @typedef {Record<string, any>} Json */
/**
 * @typedef {object} LiveState
 * @property {'starting' | 'live' | 'polling' | 'lost' | 'token'} connection
 * @property {number | undefined} heardAt milliseconds of the browser, when the proxy was heard of last
 * @property {number} clockOffset what the proxy's clock is ahead of the browser's, milliseconds
 * @property {Json | undefined} plan
 * @property {readonly Json[]} regions
 * @property {Json | undefined} risk
 * @property {string | undefined} riskProblem why there are no risk scores, in words
 * @property {Json | undefined} shards
 * @property {Readonly<Record<string, readonly import('./chart-data.js').Point[]>>} history
 * @property {readonly Json[]} decisions newest first
 * @property {readonly Json[]} events
 * @property {readonly Json[]} audit newest first
 */

/** As many rows as somebody scrolls through. */
const MAX_DECISIONS = 200;

/** @type {LiveState} */
export const NOTHING_KNOWN = {
  connection: 'starting',
  heardAt: undefined,
  clockOffset: 0,
  plan: undefined,
  regions: [],
  risk: undefined,
  riskProblem: undefined,
  shards: undefined,
  history: {},
  decisions: [],
  events: [],
  audit: [],
};

/** @param {LiveState} state @param {string} event @param {Json} data @param {number} now milliseconds of the browser @returns {LiveState} */
export function withMessage(state, event, data, now) {
  const heard = { ...state, heardAt: now };
  switch (event) {
    case 'plan':
      return { ...heard, plan: data };
    case 'health':
      return { ...heard, regions: data.regions };
    case 'risk':
      return withRisk(heard, data, now);
    case 'shards':
      return { ...heard, shards: data };
    case 'decision':
      return { ...heard, decisions: withDecisions(state.decisions, [data]) };
    case 'decisions':
      return { ...heard, decisions: withDecisions(state.decisions, data.traces) };
    case 'events':
      return { ...heard, events: data.events };
    case 'audit':
      return { ...heard, audit: data.entries };
    default:
      return heard;
  }
}

/** @param {LiveState} state @param {Json} risk @param {number} now @returns {LiveState} */
function withRisk(state, risk, now) {
  const clockOffset = risk.now === undefined ? state.clockOffset : Date.parse(risk.now) - now;
  const history = { ...state.history };
  for (const region of risk.regions ?? []) {
    const known = region.history ?? history[region.id] ?? [];
    const at = region.actual?.at ?? region.evaluatedAt;
    history[region.id] =
      at === undefined
        ? known
        : withPoint(known, {
            at,
            actual: region.actual?.rps,
            forecast: region.forecast?.p50,
            risk: region.risk,
          });
  }
  return { ...state, risk, riskProblem: undefined, clockOffset, history };
}

/** Newest first, each request once. @param {readonly Json[]} known @param {readonly Json[]} fresh */
function withDecisions(known, fresh) {
  const ids = new Set(known.map(({ requestId }) => requestId));
  const added = fresh.filter(({ requestId }) => !ids.has(requestId));
  if (added.length === 0) return known;
  return [...added, ...known].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, MAX_DECISIONS);
}

/**
 * Cuts a stream of server-sent events into messages (HTML, 9.2.6); what is not whole yet stays for the next piece.
 * @returns {(chunk: string) => { event: string, data: Json }[]}
 */
export function eventReader() {
  let rest = '';
  return (chunk) => {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    return blocks.flatMap((block) => {
      const lines = block.split('\n');
      const of = (/** @type {string} */ field) =>
        lines.filter((line) => line.startsWith(field)).map((line) => line.slice(field.length));
      const data = of('data: ').join('\n');
      return data === '' ? [] : [{ event: of('event: ')[0] ?? 'message', data: JSON.parse(data) }];
    });
  };
}

/** A region as the table shows it: what routing knows, joined with what the engine says. @param {LiveState} state */
export function regionRows(state) {
  const scores = new Map((state.risk?.regions ?? []).map((/** @type {Json} */ one) => [one.id, one]));
  return state.regions.map((region, index) => {
    const score = /** @type {Json | undefined} */ (scores.get(region.id));
    return {
      ...region,
      index,
      score,
      capacity: region.capacity ?? score?.capacity?.value,
      word: stateWord(region, score),
    };
  });
}

/** What an operator should know first. @param {Json} region @param {Json | undefined} score */
function stateWord(region, score) {
  const { override, healthy, registered, weight } = region;
  if (override?.kind === 'drain') return weight.effective > 0 ? 'draining' : 'drained';
  if (override?.kind === 'maintenance') return 'maintenance';
  if (registered > 0 && healthy === 0) return 'down';
  if (score?.failing) return 'failing';
  if (healthy < registered) return 'degraded';
  if (Math.abs(weight.desired - weight.effective) > 0.005) return 'shifting';
  return weight.desired < weight.base - 0.005 ? 'lowered' : 'serving';
}

/** Shifts under way over all tables. @param {LiveState} state @returns {Json[]} */
export function shiftsOf(state) {
  return (state.shards?.tables ?? []).filter(
    (/** @type {Json} */ table) => (table.shift?.moving.length ?? 0) > 0,
  );
}
