// The requests of a run: when each is due, its key, its method. Made once from incident and seed, the same for every
// contestant. Independent users (Poisson) whose rate follows the incident's demand. Pure.

import { type Random, seededRandom } from '../../src/core/random.ts';
import { hashOfParts } from '../../src/routing/key-bytes.ts';
import { demandAt, type Incident, valueAt } from './script.ts';

export interface PlannedRequest {
  /** Counted from 0; the id under which client and servers account for it. */
  readonly number: number;
  /** Milliseconds from the start. */
  readonly dueMs: number;
  readonly key: string;
  readonly method: 'GET' | 'POST';
}

const KEYS = 6000;
/** Few keys that many want: one tenant, one event. */
const HOT_KEYS = 40;
/** Foreshard's shard groups: the hot keys lie in one of them, which is the worst case for it alone; elsewhere they scatter. */
const GROUPS = 64;
/** The rate is looked up anew this often. */
const STEP_MS = 100;

export function trafficOf(incident: Incident, seed: number): PlannedRequest[] {
  return [...requestsOf(incident, seed)];
}

/** One after the other, for runs whose traffic fits in no memory. */
export function* requestsOf(incident: Incident, seed: number): Generator<PlannedRequest, undefined> {
  const random = seededRandom(seed ^ 0x7aff1c);
  const hot = hotKeys(random);
  let number = 0;
  for (let from = 0; from < incident.seconds * 1000; from += STEP_MS) {
    const second = from / 1000;
    const perMs = demandAt(incident, second) / 1000;
    // Exponential gaps with a rate that is constant within the step: a Poisson process has no memory.
    for (let at = from + gap(random, perMs); at < from + STEP_MS; at += gap(random, perMs)) {
      const isHot = random.next() < valueAt(incident.hotShare, second);
      const key = isHot ? hot[random.u32() % hot.length]! : `user-${random.u32() % KEYS}`;
      const method = random.next() < 0.5 ? 'GET' : 'POST';
      yield { number, dueMs: at, key, method };
      number += 1;
    }
  }
  return undefined;
}

function gap(random: Random, perMs: number): number {
  return -Math.log(1 - random.next()) / perMs;
}

function hotKeys(random: Random): string[] {
  const group = random.u32() % GROUPS;
  const keys: string[] = [];
  for (let i = 0; keys.length < HOT_KEYS; i++) if (groupOf(`hot-${i}`) === group) keys.push(`hot-${i}`);
  return keys;
}

/** Shard group of a key: the top six bits of its hash. */
function groupOf(key: string): number {
  return hashOfParts([Buffer.from(key, 'latin1')]).hi >>> 26;
}
