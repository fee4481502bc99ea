// Measures pairs of Foreshard processes for feature-cost.ts: one with everything on, one with a feature
// off, both alive, load on one at a time.

import { EVERYTHING, type FeaturePair } from './feature-cost.ts';
import type { MeasureOutcome } from './measure.ts';
import { foreshardVariant } from './proxies/catalogue.ts';
import type { ProxyDefinition } from './proxies/definition.ts';
import type { Feature } from './proxies/foreshard.ts';
import type { RunningProxy, StartOutcome } from './rig.ts';

export interface FeatureMeasureOptions {
  readonly features: readonly Feature[];
  readonly rounds: number;
  readonly show: (text: string) => void;
  readonly isInterrupted: () => boolean;
  readonly start: (definition: ProxyDefinition) => Promise<StartOutcome>;
  /** Load on one of the two for so many seconds. */
  readonly load: (proxy: RunningProxy, seconds: number) => Promise<MeasureOutcome>;
}

export interface FeatureMeasures {
  readonly pairs: readonly FeaturePair[];
  readonly failures: readonly { readonly what: string; readonly why: string }[];
}

const SLICE_SECONDS = 1;
/** The first and the second process in an order in which a steady drift of the machine cancels out. */
const TURNS = [0, 1, 1, 0, 0, 1, 1, 0] as const;
const WARM_UP_SECONDS = 2;
const NOTHING: ReadonlySet<string> = new Set();

export function estimateFeatureSeconds(features: number, rounds: number): number {
  const startSeconds = 1.5;
  const each = 2 * (startSeconds + WARM_UP_SECONDS) + TURNS.length * SLICE_SECONDS;
  return features === 0 ? 0 : (features + 1) * rounds * each;
}

export async function measureFeatures(options: FeatureMeasureOptions): Promise<FeatureMeasures> {
  const { features, rounds } = options;
  const pairs: FeaturePair[] = [];
  const failures: { what: string; why: string }[] = [];
  const offs = [
    ...features.map((feature) => ({ id: feature.id, off: new Set([feature.id]) })),
    { id: EVERYTHING, off: new Set(features.map((feature) => feature.id)) },
  ];
  for (let round = 0; round < rounds; round++) {
    for (const { id, off } of offs) {
      if (options.isInterrupted()) return { pairs, failures };
      options.show(`round ${round + 1}, Foreshard with and without: ${id}`);
      // Whoever starts first is a little worse or better off all through: the two change places.
      const onFirst = round % 2 === 0;
      const outcome = await measurePair(options, onFirst ? [NOTHING, off] : [off, NOTHING]);
      if (options.isInterrupted()) return { pairs, failures };
      if (typeof outcome === 'string') failures.push({ what: `feature ${id}`, why: outcome });
      else {
        const [onMicros, offMicros] = onFirst ? outcome : outcome.toReversed();
        pairs.push({ feature: id, round, onMicros: onMicros!, offMicros: offMicros! });
      }
    }
  }
  return { pairs, failures };
}

/** CPU microseconds per request of the two, each with its set of features off, or why there are none. */
async function measurePair(
  options: FeatureMeasureOptions,
  offs: readonly ReadonlySet<string>[],
): Promise<readonly [number, number] | string> {
  const running: RunningProxy[] = [];
  try {
    for (const off of offs) {
      const outcome = await options.start(foreshardVariant(options.features, off));
      if (outcome.kind === 'failed') return outcome.why;
      running.push(outcome.proxy);
      const warm = await options.load(outcome.proxy, WARM_UP_SECONDS);
      if (warm.kind === 'failed') return warm.why;
    }
    return await takeTurns(options, running);
  } finally {
    for (const proxy of running) await proxy.stop();
  }
}

async function takeTurns(
  options: FeatureMeasureOptions,
  running: readonly RunningProxy[],
): Promise<readonly [number, number] | string> {
  const cpuMicros = [0, 0];
  const requests = [0, 0];
  for (const turn of TURNS) {
    const outcome = await options.load(running[turn]!, SLICE_SECONDS);
    if (outcome.kind === 'failed') return outcome.why;
    const { measurement } = outcome;
    cpuMicros[turn]! += measurement.cpuMicrosPerRequest * measurement.requests;
    requests[turn]! += measurement.requests;
  }
  return [cpuMicros[0]! / requests[0]!, cpuMicros[1]! / requests[1]!];
}
