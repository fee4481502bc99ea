// Starts real `foreshard rem` processes for stories, and speaks to their API.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { RegionReport } from '../../src/region/report.ts';
import { proxyConfig, type RunningProxy, startProxy } from './proxy.ts';
import { until } from './traffic.ts';

export interface RunningRem {
  readonly region: string;
  /** `http://127.0.0.1:port` of the API, which a proxy's `regions[].rem` names. */
  readonly api: string;
  readonly process: RunningProxy;
  report(): Promise<RegionReport>;
  post(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }>;
  /** Resolves when `holds` of the report; rejects after `ms`. */
  untilReport(holds: (report: RegionReport) => boolean, ms: number, what: string): Promise<RegionReport>;
}

/** Checks that see a fault in a fraction of a second: a story has no minute to spare. */
export const QUICK_CHECKS = { healthCheckInterval: '500ms', health: { timeout: '300ms' } };

/** Starts a manager and resolves when it serves. */
export async function startRem(
  t: Test,
  region: string,
  parts: Record<string, unknown> = {},
  args: readonly string[] = [],
): Promise<RunningRem> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-rem-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { pae: _, ...config } = proxyConfig({ region, ...QUICK_CHECKS, ...parts });
  const process = await startProxy(t, config, { folder, args, command: 'rem' });
  const api = process.controlUrl;
  const report = async (): Promise<RegionReport> =>
    (await (await fetch(`${api}/report`)).json()) as RegionReport;
  return {
    region,
    api,
    process,
    report,
    post: async (path, body) => {
      const answer = await fetch(`${api}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
    untilReport: async (holds, ms, what) => {
      let last = await report();
      await until(
        async () => {
          last = await report();
          return holds(last);
        },
        ms,
        what,
      );
      return last;
    },
  };
}

/** What the proxy says of a region. */
export async function regionSeen(
  proxy: RunningProxy,
  id: string,
): Promise<{ healthy: number; registered: number; manager?: { draining: boolean; isHeard: boolean } }> {
  const answer = await fetch(`${proxy.controlUrl}/regions`);
  const regions = (await answer.json()) as { id: string; healthy: number; registered: number }[];
  const list = Array.isArray(regions) ? regions : (regions as { regions: typeof regions }).regions;
  const region = list.find((one) => one.id === id);
  if (region === undefined) throw new Error(`no region ${id}`);
  return region;
}
