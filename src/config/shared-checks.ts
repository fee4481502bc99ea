// What both kinds of configuration must agree on: addresses that differ, tokens where strangers can knock,
// health and limits in order.

import { formatDuration, formatSize } from '../core/units.ts';
import type { Disagreement } from './disagreement.ts';
import type { DeepReadonly } from './frozen.ts';
import { quote } from './problem.ts';
import { isLoopback, splitAddress } from './quantities.ts';
import type { Config } from './schema.ts';

/** The keys that proxy.yaml and rem.yaml share. */
type Shared = DeepReadonly<
  Pick<Config, 'listen' | 'control' | 'workers' | 'health' | 'healthCheckInterval' | 'limits'>
>;

export function* checkShared(config: Shared): Iterable<Disagreement> {
  yield* checkListeners(config);
  yield* checkControlAddress(config);
  yield* checkDoor({
    section: 'control',
    key: 'address',
    given: config.control.address,
    token: config.control.token,
  });
  yield* checkTokenLength('control', config.control.token);
  yield* checkWorkers(config);
  yield* checkHealth(config);
  yield* checkLimits(config);
}

/** A place where strangers can knock, or one of theirs where we do. */
export interface Door {
  readonly section: string;
  readonly key: string;
  /** Address or URL. */
  readonly given: string;
  readonly token: string | undefined;
}

/** Off loopback, a door needs a token. */
export function* checkDoor({ section, key, given, token }: Door): Iterable<Disagreement> {
  const host = splitAddress(given)?.host ?? URL.parse(given)?.hostname.replace(/^\[|\]$/g, '') ?? '';
  if (token !== undefined || host === '' || isLoopback(host) || host === 'localhost') return;
  yield {
    path: [section, key],
    about: [[section, 'token']],
    severity: 'error',
    sentence: `must be a loopback address unless ${section}.token is set, given ${quote(given)}`,
  };
}

// Shorter ones can be guessed by trying.
const SAFE_TOKEN_CHARACTERS = 16;

export function* checkTokenLength(section: string, token: string | undefined): Iterable<Disagreement> {
  if (token === undefined || token.length >= SAFE_TOKEN_CHARACTERS) return;
  yield {
    path: [section, 'token'],
    severity: 'warning',
    sentence: `should have ${SAFE_TOKEN_CHARACTERS} characters or more, or it can be guessed; given ${token.length}`,
  };
}

function* checkListeners({ listen }: Shared): Iterable<Disagreement> {
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

function* checkControlAddress({ listen, control }: Shared): Iterable<Disagreement> {
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

function* checkWorkers({ listen, workers }: Shared): Iterable<Disagreement> {
  const unix = listen.findIndex(({ address }) => address.startsWith('unix:'));
  if (unix === -1 || workers === 'auto' || workers === 1) return;
  yield {
    path: ['workers'],
    about: [['listen', unix, 'address']],
    severity: 'error',
    sentence: `must be auto or 1 with a unix listener (${listen[unix]!.address}), given ${workers}`,
  };
}

function* checkHealth({ health, healthCheckInterval }: Shared): Iterable<Disagreement> {
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

function* checkLimits({ limits }: Shared): Iterable<Disagreement> {
  if (limits.headerBytes >= limits.targetBytes) return;
  yield {
    path: ['limits', 'headerBytes'],
    about: [['limits', 'targetBytes']],
    severity: 'error',
    sentence: `must be at least limits.targetBytes (${formatSize(limits.targetBytes)}), which it contains; given ${formatSize(limits.headerBytes)}`,
  };
}
