// `control`: what the control port under load costs the data plane. Latency of proxied requests at a constant rate, in
// slices that take turns: nobody asks, and everybody asks. And how soon a trace is found.

import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../src/core/clock.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, median, type Table } from '../report/table.ts';
import { endChildrenOnSignals, type RunningProcess } from './child-process.ts';
import { integerOption, optionValues } from './command-line.ts';
import type { AskerCounts, AskerPlan } from './control-asker.ts';
import { freePorts } from './free-port.ts';
import { loopbackPlan } from './loopback-plan.ts';
import { startOwn } from './own-program.ts';
import { makeRunFolder, startOrigin } from './rig.ts';
import { runSenders } from './sender/run-senders.ts';

export const CONTROL_HELP = `npm run bench:load -- control [options]

A proxy with an embedded engine, GET of 1 KiB at a constant rate. Slices take turns: quiet; asked, where its control
port is asked 200 times a second and watched by 50 streams; and elsewhere, where the same is done to a second proxy
that has no traffic, so that the machine is as busy and only the proxy is not asked. Then failed requests, and the
time until each one's trace is found. Exit code 1 when a figure is over its bound.

  --rounds 3        of six slices
  --seconds 5       length of a slice
  --rate 500        proxied requests/s
  --asks 200        requests/s to the control port
  --streams 50      watchers of /stream
  --traces 20       traces that are looked for
  --out DIR         default bench/results
  --json            the result as JSON on stdout instead of the table
`;

const OPTIONS = {
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '5' },
  rate: { type: 'string', default: '500' },
  asks: { type: 'string', default: '200' },
  streams: { type: 'string', default: '50' },
  traces: { type: 'string', default: '20' },
  out: { type: 'string', default: RESULTS_FOLDER },
  json: { type: 'boolean', default: false },
} as const;

const BENCH = 'load-control';
const CONNECTIONS = 32;
const WARM_UP_MS = 3000;
/** In an order in which a steady drift of the machine cancels out. */
const TURNS = ['quiet', 'asked', 'elsewhere', 'elsewhere', 'asked', 'quiet'] as const;
const BOUNDS = { p99Ratio: 1.1, traceMs: 1000 };
const LOOK_EVERY_MS = 5;
const LOOK_LIMIT_MS = 10_000;

type Turn = (typeof TURNS)[number];

interface Slice {
  readonly turn: Turn;
  readonly round: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** How late the sender itself was: what of the latency is the bench's own. */
  readonly lagP99Micros: number;
  readonly answered: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** What was asked, here or elsewhere. */
  readonly asks?: AskerCounts;
}

interface Figures {
  readonly slices: readonly Slice[];
  /** Milliseconds from the end of a failed request to its trace. */
  readonly traceMs: readonly number[];
}

interface Subject {
  readonly url: string;
  readonly control: string;
  readonly process: RunningProcess;
}

export async function control(args: readonly string[], clock: Clock): Promise<number> {
  const { out, json, ...values } = optionValues(args, OPTIONS);
  const settings = {
    rounds: integerOption('rounds', values.rounds, 1, 100),
    seconds: integerOption('seconds', values.seconds, 1, 600),
    rate: integerOption('rate', values.rate, 1, 100_000),
    asks: integerOption('asks', values.asks, 1, 10_000),
    // More than a hundred are turned away.
    streams: integerOption('streams', values.streams, 0, 100),
    traces: integerOption('traces', values.traces, 1, 1000),
  };
  const head = resultHead(BENCH, args, clock);
  endChildrenOnSignals();
  const progress = openProgress();
  const folder = makeRunFolder();
  const origin = await startOrigin({ ports: 3, workers: 1, folder, clock });
  const subject = await startSubject(folder, 'proxy', origin.ports, clock);
  const idle = await startSubject(folder, 'idle', origin.ports, clock);
  const askers = { asked: askerOf(subject, settings), elsewhere: askerOf(idle, settings) };
  try {
    await load(subject, settings.rate, WARM_UP_MS);
    const slices: Slice[] = [];
    for (let round = 0; round < settings.rounds; round++) {
      for (const turn of TURNS) {
        progress.show(`round ${round + 1}, ${turn}`);
        slices.push(await measureSlice(subject, askers, { ...settings, turn, round }));
      }
    }
    progress.show('traces');
    const traceMs = await measureTraces(subject, settings.traces, clock);
    progress.clear();
    return report({ slices, traceMs }, { head, out, json, settings });
  } finally {
    for (const asker of Object.values(askers)) asker.postMessage('end');
    await subject.process.stop();
    await idle.process.stop();
    await origin.process.stop();
  }
}

function askerOf({ control }: Subject, { asks, streams }: { asks: number; streams: number }): Worker {
  const plan: AskerPlan = { control, perSecond: asks, streams };
  return new Worker(new URL('./control-asker.ts', import.meta.url), { workerData: plan });
}

/** Requests for /lost find no server: what failed is always kept. */
async function startSubject(
  folder: string,
  name: string,
  ports: readonly number[],
  clock: Clock,
): Promise<Subject> {
  const [listen, controlPort, nobody] = await freePorts(3);
  const own = join(folder, name);
  const at = (port: number | undefined): string => `http://127.0.0.1:${port}`;
  const regions = ports.map((port, i) => ({ id: `region-${i}`, servers: [`http://127.0.0.1:${port}`] }));
  const config = {
    listen: [{ address: `127.0.0.1:${listen}` }],
    control: { address: `127.0.0.1:${controlPort}` },
    workers: 1,
    state: { path: join(own, 'data') },
    pae: { mode: 'auto', evaluateEvery: '1s' },
    regions: [...regions, { id: 'lost', servers: [`http://127.0.0.1:${nobody}`] }],
    routes: [
      { id: 'lost', match: { path: '/lost' }, regions: ['lost'] },
      { id: 'all', regions: regions.map(({ id }) => id) },
    ],
  };
  const started = await startOwn('proxy', config, { folder: own, controlUrl: at(controlPort), clock });
  return { url: at(listen), control: at(controlPort), process: started };
}

async function load({ url }: Subject, rate: number, durationMs: number) {
  const plan = { ...loopbackPlan(url, '/1k', { connections: CONNECTIONS, durationMs }), rate };
  const outcome = await runSenders(plan, 1, () => undefined).outcome;
  if (outcome.kind === 'failed') throw new Error(`the load could not be applied: ${outcome.why}`);
  return outcome.result;
}

async function measureSlice(
  subject: Subject,
  askers: Readonly<Record<Exclude<Turn, 'quiet'>, Worker>>,
  { turn, round, rate, seconds }: { turn: Turn; round: number; rate: number; seconds: number },
): Promise<Slice> {
  const asker = turn === 'quiet' ? undefined : askers[turn];
  if (asker !== undefined) {
    asker.postMessage('start');
    await once(asker, 'message');
  }
  const before = subject.process.usage()!.cpuMicros;
  const { latency, lag, counts } = await load(subject, rate, seconds * 1000);
  const cpuSeconds = (subject.process.usage()!.cpuMicros - before) / 1e6;
  let asks: AskerCounts | undefined;
  if (asker !== undefined) {
    asker.postMessage('stop');
    [asks] = (await once(asker, 'message')) as [AskerCounts];
  }
  return {
    turn,
    round,
    p50Micros: latency.percentile(50),
    p99Micros: latency.percentile(99),
    lagP99Micros: lag.percentile(99),
    answered: counts.answered,
    seconds,
    cpuSeconds,
    ...(asks !== undefined && { asks }),
  };
}

async function measureTraces({ url, control }: Subject, traces: number, clock: Clock): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < traces; i++) {
    const answer = await fetch(`${url}/lost`);
    await answer.arrayBuffer();
    const from = clock.monotonicMs();
    const id = answer.headers.get('foreshard-request-id');
    for (;;) {
      const trace = await fetch(`${control}/event_tracing/${id}`);
      await trace.arrayBuffer();
      const ms = clock.monotonicMs() - from;
      if (trace.status === 200) found.push(ms);
      if (trace.status === 200) break;
      if (ms > LOOK_LIMIT_MS) throw new Error(`the trace of ${id} was not found within ${LOOK_LIMIT_MS} ms`);
      await sleep(LOOK_EVERY_MS);
    }
  }
  return found;
}

interface Line {
  readonly name: string;
  readonly values: readonly number[];
  readonly bound: number;
  readonly unit: string;
}

function linesOf({ slices, traceMs }: Figures): Line[] {
  const of = (turn: Turn): Slice[] => slices.filter((slice) => slice.turn === turn);
  const ms = (turn: Turn, key: 'p50Micros' | 'p99Micros' | 'lagP99Micros'): number[] =>
    of(turn).map((slice) => slice[key] / 1000);
  const cpu = (turn: Turn): number[] => of(turn).map(({ cpuSeconds, seconds }) => cpuSeconds / seconds);
  const rounds = [...new Set(slices.map(({ round }) => round))];
  const p99 = (turn: Turn, round: number): number =>
    median(of(turn).flatMap((slice) => (slice.round === round ? [slice.p99Micros] : [])));
  const ratioTo = (turn: Turn): number[] => rounds.map((round) => p99('asked', round) / p99(turn, round));
  const endless = Number.POSITIVE_INFINITY;
  return [
    { name: 'p50, quiet', values: ms('quiet', 'p50Micros'), bound: endless, unit: 'ms' },
    { name: 'p50, asked', values: ms('asked', 'p50Micros'), bound: endless, unit: 'ms' },
    { name: 'p99, quiet', values: ms('quiet', 'p99Micros'), bound: endless, unit: 'ms' },
    { name: 'p99, asked', values: ms('asked', 'p99Micros'), bound: endless, unit: 'ms' },
    { name: 'p99, another is asked', values: ms('elsewhere', 'p99Micros'), bound: endless, unit: 'ms' },
    {
      name: 'p99 of the sender being late, asked',
      values: ms('asked', 'lagP99Micros'),
      bound: endless,
      unit: 'ms',
    },
    { name: 'CPU of the proxy, quiet', values: cpu('quiet'), bound: endless, unit: 'cores' },
    { name: 'CPU of the proxy, asked', values: cpu('asked'), bound: endless, unit: 'cores' },
    { name: 'p99 asked / quiet, each round', values: ratioTo('quiet'), bound: BOUNDS.p99Ratio, unit: '' },
    { name: 'p99 asked / another asked', values: ratioTo('elsewhere'), bound: BOUNDS.p99Ratio, unit: '' },
    { name: 'a trace is found after its request', values: traceMs, bound: BOUNDS.traceMs, unit: 'ms' },
  ];
}

function report(
  figures: Figures,
  {
    head,
    out,
    json,
    settings,
  }: {
    readonly head: ReturnType<typeof resultHead>;
    readonly out: string;
    readonly json: boolean;
    readonly settings: Readonly<Record<'rate' | 'asks' | 'streams', number>>;
  },
): number {
  const table = tableOf(figures, settings);
  const files = writeResult({
    head,
    title: 'The control port under load',
    folder: out,
    data: { figures },
    sections: [{ table }],
  });
  if (json) process.stdout.write(`${JSON.stringify({ ...head, figures }, null, 2)}\n`);
  else
    process.stdout.write(
      `${formatOrigin(head.machine, head.commit)}\n\n${formatTable(table)}\n${files.json}\n`,
    );
  return linesOf(figures).every(({ values, bound }) => median(values) <= bound) ? 0 : 1;
}

function tableOf(
  figures: Figures,
  { rate, asks, streams }: Readonly<Record<'rate' | 'asks' | 'streams', number>>,
): Table {
  const asked = figures.slices.flatMap((slice) => slice.asks ?? []);
  const sum = (key: keyof AskerCounts): number => asked.reduce((total, one) => total + one[key], 0);
  return {
    title: `GET 1 KiB at ${rate} requests/s; asked: ${asks} control requests/s and ${streams} streams`,
    columns: [
      { title: 'figure', align: 'left' },
      { title: 'median', align: 'right' },
      { title: 'range', align: 'right' },
      { title: 'bound', align: 'right' },
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    rows: linesOf(figures).map(({ name, values, bound, unit }) => [
      name,
      median(values).toFixed(2),
      `${Math.min(...values).toFixed(2)}..${Math.max(...values).toFixed(2)}`,
      Number.isFinite(bound) ? String(bound) : '',
      unit,
      median(values) <= bound ? '' : 'OVER',
    ]),
    notes: [
      `The control ports answered ${sum('answered')} and failed ${sum('failed')}; streams told ${sum('streamed')} bytes.`,
      'One worker; sender and asker run on the same machine, so that what they take is in the figures.',
    ],
  };
}
