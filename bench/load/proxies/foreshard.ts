// Foreshard itself, once with everything on (the headline) and once per feature with that feature off:
// the difference is what the feature costs. A feature that this checkout does not have yet is refused
// by `foreshard check`; it is then left out, and the report says so.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeCommit, packageVersion } from '../../report/machine.ts';
import { runToEnd } from '../child-process.ts';
import {
  KEY_HEADER,
  MAX_CONNECTIONS,
  type Presence,
  type ProxyDefinition,
  type ProxySetup,
} from './definition.ts';

type Fragment = Readonly<Record<string, unknown>>;

export interface Feature {
  readonly id: string;
  /** What is switched, in words for the report. */
  readonly title: string;
  readonly on: Fragment;
  readonly off: Fragment;
}

/** Top-level keys of proxy.yaml; `route` is merged into the one route. */
export const FEATURES: readonly Feature[] = [
  {
    id: 'health',
    title: 'active checks and outlier detection',
    on: { health: { active: true, outlier: { enabled: true } } },
    off: { health: { active: false, outlier: { enabled: false } } },
  },
  {
    id: 'log',
    title: 'sampled access log',
    on: { log: { level: 'info', access: 'sampled' } },
    off: { log: { level: 'info', access: 'off' } },
  },
  {
    id: 'debug-headers',
    title: 'foreshard-route on responses',
    on: { debugHeaders: true },
    off: { debugHeaders: false },
  },
  {
    id: 'forwarded',
    title: 'x-forwarded-* to servers',
    on: { forwardedHeader: 'x' },
    off: { forwardedHeader: 'none' },
  },
  {
    id: 'trace',
    title: 'traces of all errors and of 1 % of requests',
    on: { trace: { sample: '1%' } },
    off: { trace: { sample: 0, keep: 0 } },
  },
  {
    id: 'retry',
    title: 'retry (a second attempt)',
    on: { route: { retry: { attempts: 2 } } },
    off: { route: { retry: { attempts: 1 } } },
  },
  {
    id: 'key',
    title: 'shard key and consistent hashing',
    on: { route: { key: { from: [{ header: KEY_HEADER }] }, policy: 'consistent_hash' } },
    off: { route: { key: { from: [{ header: 'x-absent' }] }, policy: 'weighted_random' } },
  },
  { id: 'pae', title: 'embedded analytics', on: { pae: { mode: 'auto' } }, off: { pae: { mode: 'off' } } },
];

export const PROJECT_ROOT = join(import.meta.dirname, '..', '..', '..');
export const MAIN = join(PROJECT_ROOT, 'src', 'main.js');
const CHECK_LIMIT_MS = 10_000;

/** Configuration as an object: JSON is YAML. `off` names the features to switch off. */
export function foreshardConfig(
  setup: ProxySetup,
  features: readonly Feature[],
  off: ReadonlySet<string>,
): Fragment {
  const route: Record<string, unknown> = { id: 'all', match: { path: '/**' } };
  const top: Record<string, unknown> = {};
  for (const feature of features) {
    const { route: routePart, ...rest } = off.has(feature.id) ? feature.off : feature.on;
    Object.assign(route, routePart);
    Object.assign(top, rest);
  }
  return {
    listen: [{ address: `127.0.0.1:${setup.port}` }],
    control: { address: `127.0.0.1:${setup.controlPort}` },
    workers: setup.workers,
    state: { path: join(setup.folder, 'data') },
    limits: { connections: MAX_CONNECTIONS },
    regions: setup.origins.map((port, i) => ({ id: `region-${i}`, servers: [`http://127.0.0.1:${port}`] })),
    routes: [route],
    ...top,
  };
}

/** Everything on, and further top-level keys for a scenario that needs them. */
export function foreshardWith(features: readonly Feature[], keys: Fragment): ProxyDefinition {
  const always = { id: 'always', title: '', on: keys, off: {} };
  return foreshard('foreshard', [...features, always], new Set());
}

/** One definition: everything on, but for the features of `off`. */
export function foreshard(
  id: string,
  features: readonly Feature[],
  off: ReadonlySet<string>,
): ProxyDefinition {
  return {
    id,
    kind: 'product',
    presence: foreshardPresence,
    launch: (setup) => {
      const text = JSON.stringify(foreshardConfig(setup, features, off), null, 2);
      return {
        files: [{ name: 'proxy.yaml', text }],
        command: {
          command: process.execPath,
          args: [MAIN, 'proxy', '--config', join(setup.folder, 'proxy.yaml')],
          cwd: PROJECT_ROOT,
        },
        readyUrl: `http://127.0.0.1:${setup.controlPort}/readyz`,
      };
    },
  };
}

async function foreshardPresence(): Promise<Presence> {
  if (!existsSync(MAIN)) return { kind: 'absent', why: 'this checkout has no src/main.js yet' };
  const commit = describeCommit();
  const version = `${packageVersion('')}, ${commit.hash.slice(0, 12)}, Node ${process.versions.node}`;
  return { kind: 'present', version };
}

export interface BuiltFeatures {
  readonly built: readonly Feature[];
  readonly missing: readonly { readonly feature: Feature; readonly why: string }[];
}

/** The first problem that `foreshard check` named, without the place in a file that is gone. */
function complaintOf(said: string, file: string): string {
  const at = said.indexOf(file);
  if (at === -1) return said;
  return (said.slice(at + file.length).split(' | ')[0] ?? said).replace(/^[:\d]+ /, '');
}

/** Asks `foreshard check` about each feature: an option that is refused cannot be measured. */
export async function probeFeatures(): Promise<BuiltFeatures> {
  const built: Feature[] = [];
  const missing: { feature: Feature; why: string }[] = [];
  if ((await foreshardPresence()).kind === 'absent') return { built: FEATURES, missing };
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-check-'));
  const setup: ProxySetup = { port: 1, controlPort: 2, origins: [3], workers: 1, job: 'plain', folder };
  for (const feature of FEATURES) {
    const file = join(folder, `${feature.id}.yaml`);
    writeFileSync(file, JSON.stringify(foreshardConfig(setup, [feature], new Set())));
    const outcome = await runToEnd(
      { command: process.execPath, args: [MAIN, 'check', file], cwd: PROJECT_ROOT },
      CHECK_LIMIT_MS,
    );
    if (outcome.kind === 'done') built.push(feature);
    else missing.push({ feature, why: complaintOf(outcome.why, file) });
  }
  rmSync(folder, { recursive: true, force: true });
  return { built, missing };
}
