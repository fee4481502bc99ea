// `manager`: a Regional Endpoint Manager in the path. Its CPU per request beside the proxy's in the same run,
// the size of its report with 1,000 servers, and the time from a registration to the proxy that has heard it.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, median, type Table } from '../report/table.ts';
import { endChildrenOnSignals, type RunningProcess } from './child-process.ts';
import { integerOption, optionValues } from './command-line.ts';
import { CASES } from './compare-plan.ts';
import { freePorts } from './free-port.ts';
import { chooseGenerator, type LoadGenerator } from './load-generator.ts';
import { measure } from './measure.ts';
import { startOwn } from './own-program.ts';
import { makeRunFolder, startOrigin } from './rig.ts';

export const MANAGER_HELP = `npm run bench:load -- manager [options]

Load on a proxy whose region has a manager, GET of 1 KiB, one worker each: CPU per request of both.
Then a manager with 1,000 servers: bytes of its report, and milliseconds from a registration until the
proxy's control port shows it. Exit code 1 when a figure is over its bound.

  --rounds 5        rounds of load
  --seconds 5       length of one
  --changes 20      registrations that are timed
  --connections 32
  --out DIR         default bench/results
  --json            the result as JSON on stdout instead of the table
`;

const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '5' },
  changes: { type: 'string', default: '20' },
  connections: { type: 'string', default: '32' },
  out: { type: 'string', default: RESULTS_FOLDER },
  json: { type: 'boolean', default: false },
} as const;

const BENCH = 'load-manager';
const SERVERS = 1000;
const CASE = CASES.find(({ id }) => id === 'get-1k')!;
const WARM_UP_SECONDS = 3;
const LOOK_EVERY_MS = 2;
const SEEN_LIMIT_MS = 10_000;
const BOUNDS = { ratio: 1, reportBytes: 200 * 1024, seenMs: 250 };

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly changes: number;
  readonly connections: number;
}

interface Figures {
  /** CPU microseconds per request, a round each. */
  readonly proxyMicros: readonly number[];
  readonly managerMicros: readonly number[];
  readonly reportBytes: number;
  /** Milliseconds, a change each. */
  readonly seenMs: readonly number[];
}

/** A proxy of one region and the manager of that region. */
interface Pair {
  readonly url: string;
  readonly proxyControl: string;
  readonly managerApi: string;
  readonly proxy: RunningProcess;
  readonly manager: RunningProcess;
  stop(): Promise<void>;
}

export async function manager(args: readonly string[], clock: Clock): Promise<number> {
  const { out, json, ...values } = optionValues(args, OPTIONS);
  const settings: Settings = {
    rounds: integerOption('rounds', values.rounds, 1, 100),
    seconds: integerOption('seconds', values.seconds, 1, 600),
    changes: integerOption('changes', values.changes, 1, 1000),
    connections: integerOption('connections', values.connections, 1, 1000),
  };
  const head = resultHead(BENCH, args, clock);
  endChildrenOnSignals();
  const progress = openProgress();
  const folder = makeRunFolder();
  const generator = await chooseGenerator(folder);
  const origin = await startOrigin({ ports: 1, workers: 1, folder, clock });
  progress.show('load on a proxy with a manager behind it');
  const loaded = await startPair(folder, 'hop', [`http://127.0.0.1:${origin.ports[0]}`], clock);
  const hop = await measureHop(loaded, settings, generator, clock);
  await loaded.stop();
  await origin.process.stop();
  progress.show('registrations with a manager of 1,000 servers');
  const strangers = Array.from({ length: SERVERS - 1 }, (_, i) => `http://192.0.2.1:${10_000 + i}`);
  const full = await startPair(folder, 'full', strangers, clock);
  const news = await measureNews(full, settings.changes, clock);
  await full.stop();
  progress.clear();
  const figures: Figures = { ...hop, ...news };
  const table = tableOf(figures);
  const files = writeResult({
    head,
    title: 'A manager in the path',
    folder: out,
    data: { figures },
    sections: [{ table }],
  });
  if (json) process.stdout.write(`${JSON.stringify({ ...head, figures }, null, 2)}\n`);
  else
    process.stdout.write(
      `${formatOrigin(head.machine, head.commit)}\n\n${formatTable(table)}\n${files.json}\n`,
    );
  return linesOf(figures).every(({ value, bound }) => value <= bound) ? 0 : 1;
}

async function startPair(
  folder: string,
  name: string,
  servers: readonly string[],
  clock: Clock,
): Promise<Pair> {
  const [data, api, listen, control] = await freePorts(4);
  const address = (port: number | undefined) => ({ address: `127.0.0.1:${port}` });
  const managerApi = `http://127.0.0.1:${api}`;
  const proxyControl = `http://127.0.0.1:${control}`;
  const start = (verb: 'rem' | 'proxy', controlUrl: string, config: object) =>
    startOwn(verb, config, { folder: join(folder, `${name}-${verb}`), controlUrl, clock });
  const rem = await start('rem', managerApi, {
    region: 'only',
    listen: [address(data)],
    control: address(api),
    workers: 1,
    servers,
    // Those of the second pair are nobody's: what is timed is news, not health.
    health: { active: false },
  });
  const proxy = await start('proxy', proxyControl, {
    listen: [address(listen)],
    control: address(control),
    workers: 1,
    state: { path: join(folder, `${name}-state`) },
    health: { active: false },
    regions: [{ id: 'only', rem: managerApi }],
  });
  const stop = async (): Promise<void> => {
    await proxy.stop();
    await rem.stop();
  };
  const pair = { url: `http://127.0.0.1:${listen}`, proxyControl, managerApi, proxy, manager: rem, stop };
  await untilSeen(pair, servers.length, clock);
  return pair;
}

async function registered({ proxyControl }: Pair): Promise<number> {
  const answer = (await (await fetch(`${proxyControl}/regions`)).json()) as {
    regions: { registered: number }[];
  };
  return answer.regions[0]!.registered;
}

/** @returns milliseconds until the proxy's control port shows so many servers. */
async function untilSeen(pair: Pair, count: number, clock: Clock): Promise<number> {
  const from = clock.monotonicMs();
  while ((await registered(pair)) !== count) {
    if (clock.monotonicMs() - from > SEEN_LIMIT_MS)
      throw new Error(`the proxy did not see ${count} servers within ${SEEN_LIMIT_MS} ms`);
    await sleep(LOOK_EVERY_MS);
  }
  return clock.monotonicMs() - from;
}

async function measureHop(
  pair: Pair,
  { rounds, seconds, connections }: Settings,
  generator: LoadGenerator,
  clock: Clock,
): Promise<Pick<Figures, 'proxyMicros' | 'managerMicros'>> {
  const proxyMicros: number[] = [];
  const managerMicros: number[] = [];
  const load = async (forSeconds: number): Promise<[number, number]> => {
    const before = pair.manager.usage()!.cpuMicros;
    const outcome = await measure({
      url: pair.url,
      process: pair.proxy,
      case: CASE,
      connections,
      seconds: forSeconds,
      generator,
      clock,
      cores: 1,
    });
    if (outcome.kind === 'failed') throw new Error(outcome.why);
    const { cpuMicrosPerRequest, requests, badStatuses } = outcome.measurement;
    if (badStatuses > 0) throw new Error(`${badStatuses} answers were not 200`);
    return [cpuMicrosPerRequest, (pair.manager.usage()!.cpuMicros - before) / requests];
  };
  await load(WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    const [proxy, rem] = await load(seconds);
    proxyMicros.push(proxy);
    managerMicros.push(rem);
  }
  return { proxyMicros, managerMicros };
}

async function measureNews(
  pair: Pair,
  changes: number,
  clock: Clock,
): Promise<Pick<Figures, 'reportBytes' | 'seenMs'>> {
  const seenMs: number[] = [];
  let reportBytes = 0;
  for (let i = 1; i <= changes; i++) {
    const answer = await fetch(`${pair.managerApi}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ serverId: 'news', incarnation: i, url: 'http://192.0.2.2:80' }),
    });
    if (answer.status !== 200) throw new Error(`the registration was answered ${answer.status}`);
    seenMs.push(await untilSeen(pair, SERVERS, clock));
    reportBytes = (await (await fetch(`${pair.managerApi}/report`)).arrayBuffer()).byteLength;
    await fetch(`${pair.managerApi}/register/news?incarnation=${i}`, { method: 'DELETE' });
    await untilSeen(pair, SERVERS - 1, clock);
  }
  return { reportBytes, seenMs };
}

interface Line {
  readonly name: string;
  readonly value: number;
  readonly range: string;
  readonly bound: number;
  readonly unit: string;
}

function linesOf({ proxyMicros, managerMicros, reportBytes, seenMs }: Figures): Line[] {
  const ratios = managerMicros.map((micros, round) => micros / proxyMicros[round]!);
  const line = (name: string, values: readonly number[], bound: number, unit: string): Line => ({
    name,
    value: median(values),
    range: values.length < 2 ? '' : `${Math.min(...values).toFixed(2)}..${Math.max(...values).toFixed(2)}`,
    bound,
    unit,
  });
  return [
    line('CPU per request, proxy', proxyMicros, Number.POSITIVE_INFINITY, 'us'),
    line('CPU per request, manager', managerMicros, Number.POSITIVE_INFINITY, 'us'),
    line('manager / proxy, each round', ratios, BOUNDS.ratio, ''),
    line('report of 1,000 servers', [reportBytes], BOUNDS.reportBytes, 'bytes'),
    line('a registration is seen by the proxy', seenMs, BOUNDS.seenMs, 'ms'),
  ];
}

function tableOf(figures: Figures): Table {
  return {
    title: 'A manager in the path, GET 1 KiB, one worker each',
    columns: [
      { title: 'figure', align: 'left' },
      { title: 'median', align: 'right' },
      { title: 'range', align: 'right' },
      { title: 'bound', align: 'right' },
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    rows: linesOf(figures).map(({ name, value, range, bound, unit }) => [
      name,
      value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(2),
      range,
      Number.isFinite(bound) ? bound.toLocaleString('en') : '',
      unit,
      value <= bound ? '' : 'OVER',
    ]),
    notes: ['A change is timed from the answer to the registration to the first look that shows it.'],
  };
}
