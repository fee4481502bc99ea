// `idle`: what an idle keep-alive connection costs a proxy in memory, and whether thousands of them slow
// down those that work.

import type { Clock } from '../../src/core/clock.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, type ResultHead, resultHead, writeResult } from '../report/result-file.ts';
import { formatMebibytes, formatMicros, formatTable, type Table } from '../report/table.ts';
import { endChildrenOnSignals } from './child-process.ts';
import { integerOption, optionValues } from './command-line.ts';
import { IdleConnections } from './idle-connections.ts';
import { loopbackPlan, loopbackTarget } from './loopback-plan.ts';
import { chooseProxies, demandDescriptors, demandProc, settledRss, withEachProxy } from './memory-options.ts';
import { HEADLINE, PROXY_IDS } from './proxies/catalogue.ts';
import { KEY_HEADER, MAX_CONNECTIONS } from './proxies/definition.ts';
import { makeRunFolder, type RunningProxy, startOrigin } from './rig.ts';
import { runSenders } from './sender/run-senders.ts';

export const IDLE_HELP = `npm run bench:load -- idle [options]

Opens keep-alive connections through each proxy, makes one request on each, holds them idle, and reports
the growth of resident memory per connection; then the latency of others while they are held.

  --connections 10000   100 to ${MAX_CONNECTIONS - 1000}
  --quick               2000 connections
  --only LIST           of ${PROXY_IDS.join(', ')}
  --max-bytes 20000     exit 1 if Foreshard takes more per connection
  --out DIR             default bench/results
  --json                the result as JSON on stdout instead of the table
`;

const BENCH = 'load-idle';
const OPEN_LIMIT_MS = 60_000;
const WARM_UP_MS = 2000;
const WORKING_MS = 3000;
const WORKING_RATE = 500;
const WORKING_CONNECTIONS = 16;

interface IdleFigures {
  readonly proxy: string;
  readonly open: number;
  /** Before, with half of the connections, with all. */
  readonly rssBytes: readonly number[];
  readonly bytesPerConnection: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Requests of the working connections that got no answer. */
  readonly failed: number;
}

function parseIdleOptions(args: readonly string[]) {
  const options = {
    connections: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    'max-bytes': { type: 'string', default: '20000' },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
  } as const;
  return optionValues(args, options);
}

export async function idle(args: readonly string[], clock: Clock): Promise<number> {
  const values = parseIdleOptions(args);
  const head = resultHead(BENCH, args, clock);
  endChildrenOnSignals();
  const wanted = values.connections ?? (values.quick ? '2000' : '10000');
  const count = integerOption('connections', wanted, 100, MAX_CONNECTIONS - 1000);
  const maxBytes = integerOption('max-bytes', values['max-bytes'], 1, 1e9);
  demandDescriptors(count);
  const proxies = await chooseProxies(values.only);
  const progress = openProgress();
  const folder = makeRunFolder();
  const origin = await startOrigin({ ports: 1, workers: 1, folder, clock });
  demandProc(origin.process);
  const figures: IdleFigures[] = [];
  const show = (text: string): void => progress.show(text);
  const absences = await withEachProxy(
    { proxies, origins: origin.ports, workers: 1, folder, clock, show },
    async (definition, proxy) => {
      const measured = await measureIdle(definition.id, proxy, { count, clock, show });
      if (typeof measured === 'string') return measured;
      figures.push(measured);
      return null;
    },
  ).finally(() => origin.process.stop());
  progress.clear();
  report({ figures, absences, count, maxBytes }, values, head);
  const own = figures.find((figure) => figure.proxy === HEADLINE);
  return figures.length === 0 || (own !== undefined && own.bytesPerConnection > maxBytes) ? 1 : 0;
}

interface MeasureOptions {
  readonly count: number;
  readonly clock: Clock;
  readonly show: (text: string) => void;
}

async function measureIdle(
  id: string,
  proxy: RunningProxy,
  options: MeasureOptions,
): Promise<IdleFigures | string> {
  const { count, clock, show } = options;
  const load = { connections: WORKING_CONNECTIONS, durationMs: WARM_UP_MS };
  const plan = { ...loopbackPlan(proxy.url, '/1k', load), rate: WORKING_RATE };
  const warm = await runSenders(plan, 1, () => undefined).outcome;
  if (warm.kind === 'failed') return warm.why;
  const rssBytes = [await settledRss(proxy.process)];
  const target = loopbackTarget(proxy.url, '/1k');
  const halves = [Math.floor(count / 2), Math.ceil(count / 2)].map(
    (half) => new IdleConnections(target, half, KEY_HEADER, clock),
  );
  try {
    for (const half of halves) {
      show(`${id}: opening ${count} connections`);
      await half.open(OPEN_LIMIT_MS);
      rssBytes.push(await settledRss(proxy.process));
    }
    show(`${id}: ${count} connections idle, ${WORKING_RATE}/s beside them`);
    const beside = await runSenders({ ...plan, durationMs: WORKING_MS }, 1, () => undefined).outcome;
    if (beside.kind === 'failed') return beside.why;
    const open = halves.reduce((sum, half) => sum + half.countIdle(), 0);
    if (open < count * 0.99) {
      return `only ${open} of ${count} connections stayed open: ${proxy.process.output()}`;
    }
    const { latency, counts } = beside.result;
    return {
      proxy: id,
      open,
      rssBytes,
      bytesPerConnection: bytesPerConnection(rssBytes, open),
      p50Micros: latency.percentile(50),
      p99Micros: latency.percentile(99),
      failed: counts.sent - counts.answered + counts.unsent,
    };
  } finally {
    for (const half of halves) half.close();
  }
}

/**
 * Resident bytes before, with half and with all connections -> bytes each. Memory that a heap held free
 * before hides the first connections: where the second half costs more than the average, it counts.
 */
export function bytesPerConnection(rssBytes: readonly number[], count: number): number {
  const [before = Number.NaN, half = Number.NaN, all = Number.NaN] = rssBytes;
  return Math.max((all - before) / count, (all - half) / Math.ceil(count / 2));
}

interface IdleResult {
  readonly figures: readonly IdleFigures[];
  readonly absences: readonly string[];
  readonly count: number;
  readonly maxBytes: number;
}

function report(result: IdleResult, values: ReturnType<typeof parseIdleOptions>, head: ResultHead): void {
  const table = idleTable(result);
  const data = {
    connections: result.count,
    maxBytes: result.maxBytes,
    figures: result.figures,
    notMeasured: result.absences,
  };
  if (values.json) process.stdout.write(`${JSON.stringify({ ...head, ...data }, null, 2)}\n`);
  else process.stdout.write(`${formatOrigin(head.machine, head.commit)}\n\n${formatTable(table)}\n`);
  const bars = result.figures.map((figure) => ({
    label: figure.proxy,
    value: figure.bytesPerConnection / 1000,
    accent: figure.proxy === HEADLINE,
  }));
  const files = writeResult({
    head,
    title: 'Memory of an idle connection',
    folder: values.out ?? RESULTS_FOLDER,
    data,
    sections: [{ table, charts: [{ kind: 'bars', title: 'Memory per idle connection', unit: 'KB', bars }] }],
  });
  process.stderr.write(`${files.json}\n${files.html}\n`);
}

function idleTable(result: IdleResult): Table {
  const right = (title: string) => ({ title, align: 'right' }) as const;
  return {
    title: `${result.count} idle keep-alive connections, each answered once, 1 worker`,
    columns: [
      { title: 'proxy', align: 'left' },
      right('KB each'),
      right('RSS before MiB'),
      right('half MiB'),
      right('all MiB'),
      right('open'),
      right('p50 beside'),
      right('p99 beside'),
      right('failed'),
    ],
    rows: result.figures.map((figure) => [
      figure.proxy,
      (figure.bytesPerConnection / 1000).toFixed(1),
      ...figure.rssBytes.map(formatMebibytes),
      String(figure.open),
      formatMicros(figure.p50Micros),
      formatMicros(figure.p99Micros),
      String(figure.failed),
    ]),
    notes: [
      `Foreshard may take ${(result.maxBytes / 1000).toFixed(1)} KB (1 KB = 1000 bytes). Client connections only: the proxies pool their own.`,
      'KB each: the average over all, or over the second half where that is more.',
      `Beside: ${WORKING_RATE} requests/s on ${WORKING_CONNECTIONS} further connections, open loop.`,
      ...result.absences.map((absence) => `Not measured: ${absence}`),
    ],
  };
}
