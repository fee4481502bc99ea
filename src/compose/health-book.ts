// How many servers of a region are healthy, as the proxies that check them say. Each proxy's last word counts
// while it is fresh: one that cannot reach a region must not condemn it for those that can.

import type { Sample } from '../analytics/ingest/sample.ts';

interface Word {
  registered: number;
  healthy: number;
  at: number;
}

const LEAST_FRESH_MS = 15_000;

export class HealthBook {
  readonly #freshMs: number;
  /** Region -> source -> what it said. */
  readonly #regions = new Map<string, Map<string, Word>>();

  constructor(evaluateEveryMs: number) {
    this.#freshMs = Math.max(LEAST_FRESH_MS, 3 * evaluateEveryMs);
  }

  /** @param now monotonic milliseconds. @returns whether a region became available or unavailable by it. */
  take(samples: readonly Sample[], now: number): boolean {
    let isChanged = false;
    const touched = new Set<string>();
    const before = new Map<string, boolean>();
    for (const { entity, metric, value, source } of samples) {
      if (entity.kind !== 'region' || (metric !== 'registered' && metric !== 'healthy')) continue;
      const words = this.#regions.get(entity.id) ?? new Map<string, Word>();
      this.#regions.set(entity.id, words);
      if (!touched.has(entity.id)) {
        touched.add(entity.id);
        before.set(entity.id, this.healthyShare(entity.id, now) === 0);
      }
      const word = words.get(source) ?? { registered: Number.NaN, healthy: Number.NaN, at: now };
      word[metric] = value;
      word.at = now;
      words.set(source, word);
    }
    for (const region of touched) {
      if ((this.healthyShare(region, now) === 0) !== before.get(region)) isChanged = true;
    }
    return isChanged;
  }

  /** 0..1, the mean over who says something; undefined when nobody does. */
  healthyShare(region: string, now: number): number | undefined {
    let sum = 0;
    let n = 0;
    const words = this.#regions.get(region);
    for (const [source, { registered, healthy, at }] of words ?? []) {
      if (now - at > this.#freshMs) words!.delete(source);
      else if (registered >= 0 && healthy >= 0) {
        // Nobody registered is nobody there.
        sum += registered === 0 ? 0 : healthy / registered;
        n += 1;
      }
    }
    return n === 0 ? undefined : sum / n;
  }

  /** Servers that a region has, as most proxies say; undefined when nobody does. */
  registered(region: string): number | undefined {
    const counts = [...(this.#regions.get(region)?.values() ?? [])]
      .map(({ registered }) => registered)
      .filter((count) => count >= 0);
    return counts.length === 0 ? undefined : Math.max(...counts);
  }
}
