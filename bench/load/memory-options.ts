// What `idle` and `transfer` have in common on the command line and in their course: a list of proxies,
// each started alone, each measured once or more.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { median } from '../report/table.ts';
import type { RunningProcess } from './child-process.ts';
import { listOption, WrongUse } from './command-line.ts';
import { HEADLINE, knownProxies, PROXY_IDS } from './proxies/catalogue.ts';
import type { ProxyDefinition } from './proxies/definition.ts';
import { probeFeatures } from './proxies/foreshard.ts';
import { type RunningProxy, startProxy } from './rig.ts';

/** Proxies whose memory says something; a bare pipe of bytes holds no HTTP state. */
const DEFAULT_IDS = PROXY_IDS.filter((id) => id !== 'node-tcp-pipe' && id !== 'node-http-request');
const SAMPLES = 5;
const SAMPLE_EVERY_MS = 300;

/** Wrong names are refused before anything is started. */
export async function chooseProxies(only: string | undefined): Promise<ProxyDefinition[]> {
  const ids = only === undefined ? DEFAULT_IDS : listOption('only', only, PROXY_IDS);
  const features = ids.includes(HEADLINE) ? (await probeFeatures()).built : [];
  return knownProxies(features).filter((definition) => ids.includes(definition.id));
}

export interface EachOptions {
  readonly proxies: readonly ProxyDefinition[];
  readonly origins: readonly number[];
  readonly workers: number;
  readonly folder: string;
  readonly clock: Clock;
  readonly show: (text: string) => void;
}

/** Starts one proxy after the other and hands each to `use`; gives the reasons of those that did not run. */
export async function withEachProxy(
  options: EachOptions,
  use: (definition: ProxyDefinition, proxy: RunningProxy) => Promise<string | null>,
): Promise<string[]> {
  const absences: string[] = [];
  const { origins, workers, folder, clock } = options;
  for (const definition of options.proxies) {
    options.show(definition.id);
    const presence = await definition.presence();
    if (presence.kind === 'absent') {
      absences.push(`${definition.id}: ${presence.why}`);
      continue;
    }
    const outcome = await startProxy(definition, { origins, workers, job: 'plain', folder, clock });
    if (outcome.kind === 'failed') {
      absences.push(`${definition.id}: ${outcome.why}`);
      continue;
    }
    try {
      const why = await use(definition, outcome.proxy);
      if (why !== null) absences.push(`${definition.id}: ${why}`);
    } finally {
      await outcome.proxy.stop();
    }
  }
  return absences;
}

/** Median of a few readings: a collector at work makes one reading alone jump. NaN without /proc. */
export async function settledRss(process: RunningProcess): Promise<number> {
  const readings: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    await sleep(SAMPLE_EVERY_MS);
    readings.push(process.usage()?.rssBytes ?? Number.NaN);
  }
  return median(readings.filter(Number.isFinite));
}

/** Memory is read from /proc: elsewhere these commands would print a table of dashes. */
export function demandProc(process: RunningProcess): void {
  if (process.usage() === null)
    throw new WrongUse('memory is read from /proc, which this system does not have');
}

/** Descriptors for everything but the connections held: pools, pipes, files. */
const SPARE_DESCRIPTORS = 600;

/** Proxy and bench each need a descriptor per connection; without this check half of them would fail. */
export function demandDescriptors(connections: number): void {
  let text = '';
  try {
    text = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return;
  }
  const limit = Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN);
  const needed = connections + SPARE_DESCRIPTORS;
  if (needed > limit) {
    throw new WrongUse(
      `${connections} connections need ${needed} file descriptors, the limit here is ${limit} (ulimit -n)`,
    );
  }
}
