// @ts-check
// Steps of a trace as sentences, in the order in which the request took them.

import { duration, percent, weight } from './words.js';

/** @typedef {Record<string, any>} Step */

/** @type {Record<string, string>} */
const TITLES = {
  route: 'Route',
  key: 'Shard key',
  shard: 'Shard',
  eligible: 'Eligible regions',
  filter: 'Filter',
  gate: 'Gate',
  pick: 'Pick',
  guard: 'Guard',
  attempt: 'Attempt',
  answer: 'Answer',
};

/** @param {Step} step */
export function stepTitle(step) {
  const title = TITLES[step.stage] ?? step.stage;
  return step.number === undefined ? title : `${title} ${step.number}`;
}

/** @type {Record<string, string>} */
const KEYS = {
  found: 'found in the request',
  made: 'not in the request; the route gave it one',
  drawn: 'none; the shard was drawn',
};

/** @param {Step} step @returns {string} */
export function stepSentence(step) {
  switch (step.stage) {
    case 'route':
      return step.chosen === null ? `no route: ${step.reason ?? 'nothing matches'}` : step.chosen;
    case 'key':
      return [KEYS[step.result] ?? step.result, listed(step.kinds, 'looked for in ')]
        .filter(Boolean)
        .join('; ');
    case 'shard':
      return `shard ${step.chosen} of the table for ${names(step.table)}${step.isMoving ? '; it is on the move' : ''}`;
    case 'eligible':
    case 'filter':
    case 'gate':
      return stageSentence(step);
    case 'pick':
      return `${step.policy} took ${step.chosen ?? 'nobody'} of ${step.candidates.map(candidate).join('; ')}`;
    case 'guard':
      return `${step.chosen} (${step.choice})${utilisation(step.utilisation)}`;
    case 'attempt':
      return attemptSentence(step);
    case 'answer':
      return `${step.status}${step.reason ? ` (${step.reason})` : ''} after ${duration(step.atMs)}`;
    default:
      return JSON.stringify(step);
  }
}

/** @param {Step} step */
function stageSentence({ candidates, removed, isPanic }) {
  const out = removed.map((/** @type {Step} */ one) => `${one.region} (${one.reason})`).join(', ');
  const said = out === '' ? `nothing removed from ${names(candidates)}` : `removed ${out}`;
  return isPanic ? `${said}; panic: too few healthy servers, health is not looked at` : said;
}

/** @param {Step} one */
function candidate(one) {
  const parts = [`weight ${weight(one.weight)}`, `${one.healthy}/${one.registered} healthy`];
  if (one.risk !== undefined) parts.push(`risk ${percent(one.risk)}`);
  return `${one.region}: ${parts.join(', ')}`;
}

/** @param {Step} step */
function attemptSentence(step) {
  const result = typeof step.outcome === 'number' ? `status ${step.outcome}` : step.outcome;
  const why = step.retryCause ? `, because of ${step.retryCause}` : '';
  const cause = step.cause ? ` (${step.cause})` : '';
  return `${step.region}, ${step.server}: ${result}${cause} in ${duration(step.durationMs)}${why}`;
}

/** @param {Record<string, number> | undefined} known */
function utilisation(known) {
  if (known === undefined) return '';
  return `; utilisation ${Object.entries(known)
    .map(([region, value]) => `${region} ${percent(value)}`)
    .join(', ')}`;
}

/** @param {readonly string[] | undefined} list */
const names = (list) => (list === undefined || list.length === 0 ? 'nobody' : list.join(', '));

/** @param {readonly string[] | undefined} list @param {string} before */
const listed = (list, before) => (list === undefined || list.length === 0 ? '' : before + list.join(', '));
