// What keys must agree on, once each is right by itself: names that must exist, addresses that must
// differ, bounds that must be in order. Each check is a row of a table and yields its disagreements; the
// caller knows where they stand in the file. An error is a configuration that cannot do what it says,
// a warning one that probably does not do what was meant.

import { formatDuration } from '../core/units.ts';
import { checkPolicies, checkRegions, checkRoutes, thresholdsSentence } from './cross-check-routes.ts';
import type { Disagreement } from './disagreement.ts';
import { quote } from './problem.ts';
import type { Config } from './schema.ts';
import { checkDoor, checkShared, checkTokenLength } from './shared-checks.ts';

/** Reads one part of a configuration and yields what does not agree in it. */
export type Check = (config: Config, declaredRegions: ReadonlySet<string> | null) => Iterable<Disagreement>;

const CHECKS: readonly Check[] = [
  checkShared,
  checkEngineTokens,
  checkEngineTimes,
  checkThresholds,
  checkTrust,
  checkReadToken,
  checkPolicies,
  checkRegions,
  checkRoutes,
];

/**
 * All disagreements of a configuration. `declaredRegions`: the ids that the file names, also those of
 * regions that are wrong otherwise; null when they cannot be told, and then no name is called unknown.
 */
export function crossCheck(
  config: Config,
  declaredRegions: ReadonlySet<string> | null = new Set(config.regions.map((region) => region.id)),
): Disagreement[] {
  return CHECKS.flatMap((check) => [...check(config, declaredRegions)]);
}

function* checkEngineTokens({ pae }: Config): Iterable<Disagreement> {
  for (const key of ['listen', 'source'] as const) {
    if (pae[key] === 'embedded') continue;
    yield* checkDoor({ section: 'pae', key, given: pae[key], token: pae.token });
  }
  yield* checkTokenLength('pae', pae.token);
}

// A lost answer and a late one must not let a plan expire.
const EVALUATIONS_PER_TTL = 3;

function* checkEngineTimes({ pae }: Config): Iterable<Disagreement> {
  const least = EVALUATIONS_PER_TTL * pae.evaluateEvery;
  if (pae.planTtl >= least) return;
  yield {
    path: ['pae', 'planTtl'],
    about: [['pae', 'evaluateEvery']],
    severity: 'error',
    sentence: `must be at least 3 x pae.evaluateEvery (${formatDuration(least)}), given ${formatDuration(pae.planTtl)}`,
  };
}

function* checkThresholds({ pae }: Config): Iterable<Disagreement> {
  const { low, high, evict } = pae.thresholds;
  if (low < high && high <= evict) return;
  const key = low < high ? 'evict' : 'high';
  yield {
    path: ['pae', 'thresholds', key],
    about: [['pae', 'thresholds']],
    severity: 'error',
    sentence: thresholdsSentence(low, high, evict),
  };
}

function* checkReadToken({ control }: Config): Iterable<Disagreement> {
  const { token, readToken } = control;
  if (readToken === undefined || (token !== undefined && token !== readToken)) return;
  yield {
    path: ['control', 'readToken'],
    about: [['control', 'token']],
    severity: 'error',
    sentence:
      token === undefined
        ? 'must stand beside control.token: without one everything is open to this machine'
        : 'must differ from control.token, which opens everything',
  };
}

function* checkTrust({ clientLocation, trustedProxies }: Config): Iterable<Disagreement> {
  if (clientLocation.header === undefined || trustedProxies.length > 0) return;
  yield {
    path: ['clientLocation', 'header'],
    about: [['trustedProxies']],
    severity: 'warning',
    sentence: `is never read, because trustedProxies names nobody whose header is believed; given ${quote(clientLocation.header)}`,
  };
}
