// What keys must agree on, once each is right by itself: names that must exist, addresses that must
// differ, bounds that must be in order. Each check is a row of a table and yields its disagreements; the
// caller knows where they stand in the file. An error is a configuration that cannot do what it says,
// a warning one that probably does not do what was meant.

import { formatDuration, formatSize } from '../core/units.ts';
import { checkRegions, checkRoutes } from './cross-check-routes.ts';
import { type Path, quote } from './problem.ts';
import { isLoopback, splitAddress } from './quantities.ts';
import type { Config } from './schema.ts';

export interface Disagreement {
  /** The key that should change, as it stands in `config`. */
  readonly path: Path;
  /** Other keys it disagrees with: when one of these was wrong, this may be no mistake at all. */
  readonly about?: readonly Path[];
  /** What is allowed and what was given; a function where it names other places of the file. */
  readonly sentence: string | ((nameOf: (path: Path) => string) => string);
  readonly severity: 'error' | 'warning';
}

/** Reads one part of a configuration and yields what does not agree in it. */
export type Check = (config: Config, declaredRegions: ReadonlySet<string> | null) => Iterable<Disagreement>;

const CHECKS: readonly Check[] = [
  checkListeners,
  checkControlAddress,
  checkTokens,
  checkWorkers,
  checkEngineTimes,
  checkThresholds,
  checkHealth,
  checkLimits,
  checkTrust,
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

function* checkListeners({ listen }: Config): Iterable<Disagreement> {
  for (const [i, { address }] of listen.entries()) {
    const other = listen.findIndex((earlier, j) => j < i && collide(earlier.address, address));
    if (other === -1) continue;
    yield {
      path: ['listen', i, 'address'],
      about: [['listen', other, 'address']],
      severity: 'error',
      sentence: (nameOf) =>
        `must differ from ${nameOf(['listen', other, 'address'])} (${listen[other]!.address}), given ${quote(address)}`,
    };
  }
}

function* checkControlAddress({ listen, control }: Config): Iterable<Disagreement> {
  const other = listen.findIndex(({ address }) => collide(address, control.address));
  if (other === -1) return;
  yield {
    path: ['control', 'address'],
    about: [['listen', other, 'address']],
    severity: 'error',
    sentence: (nameOf) =>
      `must differ from ${nameOf(['listen', other, 'address'])} (${listen[other]!.address}), given ${quote(control.address)}`,
  };
}

/** Two addresses that one machine cannot listen on at once. Port 0 is another port every time. */
function collide(a: string, b: string): boolean {
  const first = splitAddress(a);
  const second = splitAddress(b);
  if (first === null || second === null) return a === b;
  if (first.port !== second.port || first.port === 0) return false;
  if (first.host === second.host) return true;
  const sameFamily = first.host.includes(':') === second.host.includes(':');
  return sameFamily && (isWildcard(first.host) || isWildcard(second.host));
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

// Shorter ones can be guessed by trying.
const SAFE_TOKEN_CHARACTERS = 16;

function* checkTokens({ control, pae }: Config): Iterable<Disagreement> {
  const doors = [
    {
      section: 'control',
      key: 'address',
      host: hostOf(control.address),
      given: control.address,
      token: control.token,
    },
    { section: 'pae', key: 'listen', host: hostOf(pae.listen), given: pae.listen, token: pae.token },
    { section: 'pae', key: 'source', host: hostOfUrl(pae.source), given: pae.source, token: pae.token },
  ];
  for (const { section, key, host, given, token } of doors) {
    if (token !== undefined || host === null || isLoopback(host) || host === 'localhost') continue;
    yield {
      path: [section, key],
      about: [[section, 'token']],
      severity: 'error',
      sentence: `must be a loopback address unless ${section}.token is set, given ${quote(given)}`,
    };
  }
  for (const [section, token] of [
    ['control', control.token],
    ['pae', pae.token],
  ] as const) {
    if (token === undefined || token.length >= SAFE_TOKEN_CHARACTERS) continue;
    yield {
      path: [section, 'token'],
      severity: 'warning',
      sentence: `should have ${SAFE_TOKEN_CHARACTERS} characters or more, or it can be guessed; given ${token.length}`,
    };
  }
}

function hostOf(address: string): string | null {
  return splitAddress(address)?.host ?? null;
}

function hostOfUrl(url: string): string | null {
  return URL.parse(url)?.hostname.replace(/^\[|\]$/g, '') ?? null;
}

function* checkWorkers({ listen, workers }: Config): Iterable<Disagreement> {
  const unix = listen.findIndex(({ address }) => address.startsWith('unix:'));
  if (unix === -1 || workers === 'auto' || workers === 1) return;
  yield {
    path: ['workers'],
    about: [['listen', unix, 'address']],
    severity: 'error',
    sentence: `must be auto or 1 with a unix listener (${listen[unix]!.address}), given ${workers}`,
  };
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
    sentence: `must be low < high <= evict, given ${low}, ${high}, ${evict}`,
  };
}

function* checkHealth({ health, healthCheckInterval }: Config): Iterable<Disagreement> {
  const { outlier } = health;
  if (outlier.maxEjection < outlier.baseEjection) {
    yield {
      path: ['health', 'outlier', 'maxEjection'],
      about: [['health', 'outlier', 'baseEjection']],
      severity: 'error',
      sentence: `must be at least baseEjection (${formatDuration(outlier.baseEjection)}), given ${formatDuration(outlier.maxEjection)}`,
    };
  }
  if (health.active && health.timeout > healthCheckInterval) {
    // Allowed: a probe that takes longer only delays the next one.
    yield {
      path: ['health', 'timeout'],
      about: [['healthCheckInterval']],
      severity: 'warning',
      sentence: `should be at most healthCheckInterval (${formatDuration(healthCheckInterval)}), or a slow server is probed less often; given ${formatDuration(health.timeout)}`,
    };
  }
  if (!health.active && !outlier.enabled) {
    yield {
      path: ['health', 'active'],
      about: [['health', 'outlier', 'enabled']],
      severity: 'warning',
      sentence: 'should be true, or health.outlier.enabled, or no failed server is ever noticed; given false',
    };
  }
}

function* checkLimits({ limits }: Config): Iterable<Disagreement> {
  if (limits.headerBytes >= limits.targetBytes) return;
  yield {
    path: ['limits', 'headerBytes'],
    about: [['limits', 'targetBytes']],
    severity: 'error',
    sentence: `must be at least limits.targetBytes (${formatSize(limits.targetBytes)}), which it contains; given ${formatSize(limits.headerBytes)}`,
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
