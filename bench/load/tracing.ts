// `tracing`: what traces cost. One process all through, whose configuration is reloaded between slices: two processes
// of the same program differ by more than what is looked for.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../report/result-file.ts';
import { formatTable, median, type Table } from '../report/table.ts';
import { endChildrenOnSignals, type RunningProcess } from './child-process.ts';
import { integerOption, optionValues } from './command-line.ts';
import type { Case } from './compare-plan.ts';
import { freePorts } from './free-port.ts';
import { chooseGenerator, type LoadGenerator } from './load-generator.ts';
import { measure } from './measure.ts';
import { startOwn } from './own-program.ts';
import { makeRunFolder, startOrigin } from './rig.ts';

export const TRACING_HELP = `npm run bench:load -- tracing [options]

CPU per request with traces of all errors and of 1 % of requests, over that without any: one proxy at its limit,
whose configuration is reloaded between slices. Once with requests that are answered, once with requests of which each
is an error (no server takes the connection), which is the most that tracing can cost. Exit code 1 when the first is
over its bound.

  --rounds 10       of four slices: with, without, without, with
  --seconds 2       length of a slice; CPU is counted in steps of 10 ms
  --connections 64
  --out DIR         default bench/results
  --json            the result as JSON on stdout instead of the table
`;

const OPTIONS = {
  rounds: { type: 'string', default: '10' },
  seconds: { type: 'string', default: '2' },
  connections: { type: 'string', default: '64' },
  out: { type: 'string', default: RESULTS_FOLDER },
  json: { type: 'boolean', default: false },
} as const;

const BENCH = 'load-tracing';
/** In an order in which a steady drift of the machine cancels out. */
const TURNS = ['with', 'without', 'without', 'with'] as const;
const TRACES = { with: { sample: '1%' }, without: { sample: 0, keep: 0 } } as const;
const BOUND_PERCENT = 3;
/** Also after a reload: what a new snapshot made slow for a moment is no cost of traces. */
const WARM_UP_SECONDS = 1;
const FIRST_WARM_UP_SECONDS = 5;
const RELOAD_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 20;

const SORTS = [
  { id: 'answered', title: 'answered, 1 % traced', path: '/1k', bound: BOUND_PERCENT },
  { id: 'errors', title: 'errors, all traced', path: '/lost', bound: Number.POSITIVE_INFINITY },
] as const;
type Sort = (typeof SORTS)[number]['id'];
type Turn = (typeof TURNS)[number];

interface Slice {
  readonly sort: Sort;
  readonly turn: Turn;
  readonly round: number;
  readonly requests: number;
  readonly cpuMicrosPerRequest: number;
}

interface Subject {
  readonly url: string;
  readonly control: string;
  readonly process: RunningProcess;
  reload(traces: Turn): Promise<void>;
}

interface Load {
  readonly generator: LoadGenerator;
  readonly connections: number;
  readonly clock: Clock;
}

export async function tracing(args: readonly string[], clock: Clock): Promise<number> {
  const { out, json, ...values } = optionValues(args, OPTIONS);
  const rounds = integerOption('rounds', values.rounds, 1, 100);
  const seconds = integerOption('seconds', values.seconds, 1, 600);
  const connections = integerOption('connections', values.connections, 1, 4096);
  const head = resultHead(BENCH, args, clock);
  endChildrenOnSignals();
  const progress = openProgress();
  const folder = makeRunFolder();
  const generator = await chooseGenerator(folder);
  const load = { generator, connections, clock };
  const origin = await startOrigin({ ports: 3, workers: 1, folder, clock });
  const subject = await startSubject(folder, origin.ports, clock);
  const slices: Slice[] = [];
  try {
    for (const { id: sort } of SORTS) {
      await cpuPerRequest(subject, sort, FIRST_WARM_UP_SECONDS, load);
      for (let round = 0; round < rounds; round++) {
        for (const turn of TURNS) {
          progress.show(`${sort}, round ${round + 1}, ${turn} traces`);
          await subject.reload(turn);
          await cpuPerRequest(subject, sort, WARM_UP_SECONDS, load);
          slices.push({ sort, turn, round, ...(await cpuPerRequest(subject, sort, seconds, load)) });
        }
      }
    }
    progress.clear();
  } finally {
    await subject.process.stop();
    await origin.process.stop();
  }
  const table = tableOf(slices, generator.title);
  const files = writeResult({
    head,
    title: 'What traces cost',
    folder: out,
    data: { slices },
    sections: [{ table }],
  });
  if (json) process.stdout.write(`${JSON.stringify({ ...head, slices }, null, 2)}\n`);
  else
    process.stdout.write(
      `${formatOrigin(head.machine, head.commit)}\n\n${formatTable(table)}\n${files.json}\n`,
    );
  return SORTS.every(({ id, bound }) => median(costs(slices, id)) <= bound) ? 0 : 1;
}

/** Requests for /lost find no server. */
async function startSubject(folder: string, ports: readonly number[], clock: Clock): Promise<Subject> {
  const [listen, controlPort, nobody] = await freePorts(3);
  const own = join(folder, 'proxy');
  const control = `http://127.0.0.1:${controlPort}`;
  const regions = ports.map((port, i) => ({ id: `region-${i}`, servers: [`http://127.0.0.1:${port}`] }));
  const config = {
    listen: [{ address: `127.0.0.1:${listen}` }],
    control: { address: `127.0.0.1:${controlPort}` },
    workers: 1,
    state: { path: join(own, 'data') },
    pae: { mode: 'off' },
    regions: [...regions, { id: 'lost', servers: [`http://127.0.0.1:${nobody}`] }],
    routes: [
      { id: 'lost', match: { path: '/lost' }, regions: ['lost'] },
      { id: 'all', regions: regions.map(({ id }) => id) },
    ],
  };
  const process = await startOwn('proxy', config, { folder: own, controlUrl: control, clock });
  const path = join(own, 'config.yaml');
  const reload = async (turn: Turn): Promise<void> => {
    const before = await generationOf(control);
    const text = JSON.stringify({ ...config, trace: TRACES[turn] });
    if (readFileSync(path, 'utf8') === text) return;
    // In one piece: a file that is half written is refused.
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
    const until = clock.monotonicMs() + RELOAD_LIMIT_MS;
    while ((await generationOf(control)) === before) {
      if (clock.monotonicMs() > until)
        throw new Error(`the proxy did not reload within ${RELOAD_LIMIT_MS} ms: ${process.output()}`);
      await sleep(LOOK_EVERY_MS);
    }
  };
  return { url: `http://127.0.0.1:${listen}`, control, process, reload };
}

async function generationOf(control: string): Promise<string> {
  const text = await (await fetch(`${control}/metrics`)).text();
  return /^foreshard_config_generation (\S+)$/m.exec(text)?.[1] ?? '';
}

async function cpuPerRequest(
  subject: Subject,
  sort: Sort,
  seconds: number,
  load: Load,
): Promise<{ requests: number; cpuMicrosPerRequest: number }> {
  const { path, title } = SORTS.find(({ id }) => id === sort)!;
  const one: Case = { id: sort, title, method: 'GET', path, bodyBytes: 0, answerBytes: 0, rate: null };
  const { url, process } = subject;
  const outcome = await measure({
    url,
    process,
    case: one,
    seconds,
    cores: availableParallelism(),
    ...load,
  });
  if (outcome.kind === 'failed') throw new Error(`${title}: ${outcome.why}`);
  const { requests, cpuMicrosPerRequest, badStatuses } = outcome.measurement;
  const wrong = sort === 'errors' ? requests - badStatuses : badStatuses;
  if (wrong > 0) throw new Error(`${title}: ${wrong} of ${requests} were answered otherwise`);
  return { requests, cpuMicrosPerRequest };
}

/** Percent of CPU per request that traces add, one figure a round. */
function costs(slices: readonly Slice[], sort: Sort): number[] {
  const rounds = [...new Set(slices.map(({ round }) => round))];
  const of = (turn: Turn, round: number): number =>
    median(
      slices.flatMap((slice) =>
        slice.sort === sort && slice.turn === turn && slice.round === round
          ? [slice.cpuMicrosPerRequest]
          : [],
      ),
    );
  return rounds.map((round) => (of('with', round) / of('without', round) - 1) * 100);
}

function tableOf(slices: readonly Slice[], generator: string): Table {
  const micros = (sort: Sort, turn: Turn): string =>
    median(
      slices.flatMap((slice) =>
        slice.sort === sort && slice.turn === turn ? [slice.cpuMicrosPerRequest] : [],
      ),
    ).toFixed(1);
  return {
    title: 'CPU of the proxy per request with traces and without, 1 worker',
    columns: [
      { title: 'requests', align: 'left' },
      { title: 'with, us', align: 'right' },
      { title: 'without, us', align: 'right' },
      { title: 'cost %', align: 'right' },
      { title: 'range', align: 'right' },
      { title: 'bound', align: 'right' },
      { title: '', align: 'left' },
    ],
    rows: SORTS.map(({ id, title, bound }) => {
      const each = costs(slices, id);
      return [
        title,
        micros(id, 'with'),
        micros(id, 'without'),
        median(each).toFixed(1),
        `${Math.min(...each).toFixed(1)}..${Math.max(...each).toFixed(1)}`,
        Number.isFinite(bound) ? String(bound) : '',
        median(each) <= bound ? '' : 'OVER',
      ];
    }),
    notes: [
      `Median of rounds, each its own ratio. Load by ${generator}; one process, reloaded between slices.`,
      'A range across 0: below the noise.',
    ],
  };
}
