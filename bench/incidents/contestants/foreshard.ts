// Foreshard with one configuration for all incidents; contestants differ in `pae.mode` alone. `auto` before it is built
// is refused by the program itself, and the report then says so.

import { join } from 'node:path';
import { decodeOwners, type Plan } from '../../../src/plan/plan.ts';
import { progressAt } from '../../../src/plan/shift.ts';
import { foreshard as foreshardProduct } from '../../load/proxies/foreshard.ts';
import { launchAndWait } from '../../load/rig.ts';
import { KEY_HEADER } from '../wire.ts';
import {
  CONNECT_TIMEOUT_MS,
  type Contestant,
  type ContestantSetup,
  RESPONSE_TIMEOUT_MS,
  type Shares,
} from './contestant.ts';
import { maintenanceCalendar } from './maintenance-calendar.ts';

const PROJECT_ROOT = join(import.meta.dirname, '..', '..', '..');
const MAIN = join(PROJECT_ROOT, 'src', 'main.js');
const ASK_LIMIT_MS = 1000;
const CALENDAR = 'maintenance.ics';

type Keys = Readonly<Record<string, unknown>>;

/** @param top keys of proxy.yaml beside those that all modes share. */
export function foreshard(id: string, top: Keys): Contestant {
  return {
    id,
    presence: foreshardProduct(id, [], new Set()).presence,
    start: async (setup) => {
      const launch = {
        files: [
          { name: 'proxy.yaml', text: JSON.stringify(foreshardConfig(setup, top), null, 2) },
          { name: CALENDAR, text: maintenanceCalendar(setup) },
        ],
        command: {
          command: process.execPath,
          args: [MAIN, 'proxy', '--config', join(setup.folder, 'proxy.yaml')],
          cwd: PROJECT_ROOT,
        },
        readyUrl: `http://127.0.0.1:${setup.controlPort}/readyz`,
      };
      const outcome = await launchAndWait(launch, setup.folder, setup.clock);
      if (outcome.kind === 'failed') return outcome;
      const { process: running } = outcome;
      const control = `http://127.0.0.1:${setup.controlPort}`;
      const isLearning =
        (top.pae as Keys | undefined)?.mode !== 'off' && (top.pae as Keys)?.source === undefined;
      const contestant = {
        url: `http://127.0.0.1:${setup.port}`,
        telemetryUrl: isLearning ? `${control}/telemetry?backfill=1` : null,
        shares: () => readShares(control, setup),
        onMaintenance: async () => undefined,
        cpuMicros: () => running.usage()?.cpuMicros ?? 0,
        endedWith: () => (running.hasExited() ? running.output() : undefined),
        stop: () => running.stop(),
      };
      return { kind: 'started', contestant };
    },
  };
}

/** Times scaled down for incidents of a minute, as issue 5 allows; nothing else is set that an operator would not set. */
export function foreshardConfig(setup: ContestantSetup, top: Keys): Keys {
  const { pae, ...rest } = top as { readonly pae?: Keys };
  return {
    listen: [{ address: `127.0.0.1:${setup.port}` }],
    control: { address: `127.0.0.1:${setup.controlPort}` },
    workers: 1,
    state: { path: join(setup.folder, 'data') },
    log: { level: 'warn', access: 'off' },
    healthCheckInterval: '1s',
    health: {
      timeout: `${RESPONSE_TIMEOUT_MS}ms`,
      unhealthyThreshold: 2,
      healthyThreshold: 2,
      slowStart: '3s',
      outlier: { baseEjection: '2s', maxEjection: '20s' },
    },
    regions: setup.regions.map(({ id, capacity, servers }) => ({
      id,
      capacity: Math.round(capacity),
      servers: servers.map(({ port }) => ({
        url: `http://127.0.0.1:${port}`,
        metrics: `http://127.0.0.1:${port}/metrics`,
      })),
    })),
    routes: [
      {
        id: 'orders',
        match: { path: '/**' },
        key: { from: [{ header: KEY_HEADER }] },
        policy: 'consistent_hash',
        timeouts: { connect: `${CONNECT_TIMEOUT_MS}ms`, response: `${RESPONSE_TIMEOUT_MS}ms` },
        retry: { attempts: 3, on: ['connect', 'reset', 'timeout', '500', '502', '503', '504'] },
        hedge: { after: `${RESPONSE_TIMEOUT_MS / 2}ms`, to: 'region', budget: '10%' },
      },
    ],
    ...(pae !== undefined && {
      pae: {
        evaluateEvery: '1s',
        horizon: '20s',
        externalEvents: [{ file: join(setup.folder, CALENDAR), kind: 'maintenance' }],
        ...pae,
      },
    }),
    ...rest,
  };
}

/** Share of the shards that each region owns now, a shift under way counted by its progress. */
async function readShares(control: string, setup: ContestantSetup): Promise<Shares | null> {
  try {
    const response = await fetch(`${control}/plan`, { signal: AbortSignal.timeout(ASK_LIMIT_MS) });
    return sharesOf((await response.json()) as Plan, setup.clock.wallMs());
  } catch {
    return null;
  }
}

/** Of the plan's first table. */
export function sharesOf(plan: Plan, now: number): Shares {
  const table = plan.tables[0]!;
  const owners = decodeOwners(table.owners);
  const counts = plan.regions.map(() => 0);
  for (const owner of owners) if (owner < counts.length) counts[owner] = counts[owner]! + 1;
  if (table.shift !== undefined) {
    const points = table.shift.progress.map(([at, value]) => [Date.parse(at), value] as const);
    const left = 1 - progressAt(points, now);
    for (const [shard, before] of table.shift.moving) {
      counts[owners[shard]!] = counts[owners[shard]!]! - left;
      counts[before] = (counts[before] ?? 0) + left;
    }
  }
  return Object.fromEntries(plan.regions.map(({ id }, i) => [id, counts[i]! / owners.length]));
}
