// What a new configuration changes, and what of it a running process cannot follow. Reload is all or
// nothing: one change that needs a restart refuses the file whole, because a proxy that took half of a
// file would run what nobody wrote.

import { isDeepStrictEqual } from 'node:util';
import type { Path } from './problem.ts';
import type { Config } from './schema.ts';

interface RestartNeed {
  readonly path: Path;
  /** What is in force and what was given, without the path. */
  readonly sentence: string;
}

export interface ConfigChange {
  /** Top-level keys whose value differs. */
  readonly changed: readonly (keyof Config)[];
  /** Changes that a running process cannot make; empty when it can follow. */
  readonly needsRestart: readonly RestartNeed[];
}

interface FixedSetting {
  readonly path: Path;
  read(config: Config): unknown;
  show(config: Config): string;
  readonly reason: string;
}

const FIXED: readonly FixedSetting[] = [
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
    reason: 'whoever watches the proxy asks there',
  },
  {
    path: ['workers'],
    read: (config) => config.workers,
    show: (config) => String(config.workers),
    reason: 'the shared cells have a column for each worker',
  },
  {
    path: ['state', 'path'],
    read: (config) => config.state.path,
    show: (config) => config.state.path,
    reason: 'the lock and the store in it are held',
  },
  {
    path: ['sharding', 'shards'],
    read: (config) => config.sharding.shards,
    show: (config) => String(config.sharding.shards),
    reason: 'the shard of every key would change',
  },
];

/** Compares two configurations. */
export function describeChange(before: Config, after: Config): ConfigChange {
  const keys = Object.keys(after) as (keyof Config)[];
  const needsRestart = FIXED.filter(({ read }) => !isDeepStrictEqual(read(before), read(after)));
  return {
    changed: keys.filter((key) => !isDeepStrictEqual(before[key], after[key])),
    needsRestart: needsRestart.map(({ path, show, reason }) => ({
      path,
      sentence: `cannot change without a restart (${reason}): in force ${show(before)}, given ${show(after)}`,
    })),
  };
}
