// What a new configuration changes, and what of it a running process cannot follow. Reload is all or
// nothing: one change that needs a restart refuses the file whole, because a proxy that took half of a
// file would run what nobody wrote.

import { isDeepStrictEqual } from 'node:util';
import type { DeepReadonly } from './frozen.ts';
import type { Path } from './problem.ts';
import type { Config } from './schema.ts';
import type { RemConfig } from './schema-rem.ts';

interface RestartNeed {
  readonly path: Path;
  /** What is in force and what was given, without the path. */
  readonly sentence: string;
}

export interface ConfigChange {
  /** Top-level keys whose value differs. */
  readonly changed: readonly string[];
  /** Changes that a running process cannot make; empty when it can follow. */
  readonly needsRestart: readonly RestartNeed[];
}

/** A setting that a running process cannot follow. */
export interface FixedSetting<C> {
  readonly path: Path;
  read(config: C): unknown;
  show(config: C): string;
  readonly reason: string;
}

interface Listening {
  readonly listen: readonly { readonly address: string }[];
  readonly control: { readonly address: string };
  readonly workers: number | 'auto';
}

const SOCKETS: readonly FixedSetting<Listening>[] = [
  {
    path: ['listen'],
    read: (config) => config.listen,
    show: (config) => config.listen.map(({ address }) => address).join(', '),
    reason: 'its sockets are shared by all workers',
  },
  {
    path: ['control', 'address'],
    read: (config) => config.control.address,
    show: (config) => config.control.address,
    reason: 'whoever watches the process asks there',
  },
  {
    path: ['workers'],
    read: (config) => config.workers,
    show: (config) => String(config.workers),
    reason: 'the shared cells have a column for each worker',
  },
];

export const REM_FIXED: readonly FixedSetting<RemConfig>[] = [
  ...SOCKETS,
  {
    path: ['region'],
    read: (config) => config.region,
    show: (config) => config.region,
    reason: 'proxies know this manager as that region',
  },
];

const STATE_PATH: FixedSetting<Config> = {
  path: ['state', 'path'],
  read: (config) => config.state.path,
  show: (config) => config.state.path,
  reason: 'the lock and the store in it are held',
};
const SHARDS: FixedSetting<Config> = {
  path: ['sharding', 'shards'],
  read: (config) => config.sharding.shards,
  show: (config) => String(config.sharding.shards),
  reason: 'the shard of every key would change',
};

/** The same file read by an engine of its own, whose only socket is another one. */
export const PAE_FIXED: readonly FixedSetting<Config>[] = [
  {
    path: ['pae', 'listen'],
    read: (config) => config.pae.listen,
    show: (config) => config.pae.listen,
    reason: 'proxies pull their plans there',
  },
  STATE_PATH,
  SHARDS,
];

export const PROXY_FIXED: readonly FixedSetting<Config>[] = [...SOCKETS, STATE_PATH, SHARDS];

/** Compares two configurations. */
export function describeChange<Parsed extends object>(
  before: DeepReadonly<Parsed>,
  after: DeepReadonly<Parsed>,
  fixed: readonly FixedSetting<DeepReadonly<Parsed>>[],
): ConfigChange {
  const keys = Object.keys(after) as (keyof DeepReadonly<Parsed> & string)[];
  const needsRestart = fixed.filter(({ read }) => !isDeepStrictEqual(read(before), read(after)));
  return {
    changed: keys.filter((key) => !isDeepStrictEqual(before[key], after[key])),
    needsRestart: needsRestart.map(({ path, show, reason }) => ({
      path,
      sentence: `cannot change without a restart (${reason}): in force ${show(before)}, given ${show(after)}`,
    })),
  };
}
