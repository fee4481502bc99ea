// `transfer`: does a proxy's memory stay flat while a large body passes from or to a slow peer?

import type { Clock } from '../../src/core/clock.ts';
import { formatSize } from '../../src/core/units.ts';
import { formatOrigin } from '../report/machine.ts';
import { openProgress } from '../report/progress.ts';
import { RESULTS_FOLDER, type ResultHead, resultHead, writeResult } from '../report/result-file.ts';
import { formatFigure, formatMebibytes, formatTable, type Table } from '../report/table.ts';
import { endChildrenOnSignals } from './child-process.ts';
import { integerOption, optionValues, sizeOption } from './command-line.ts';
import { freePorts } from './free-port.ts';
import { chooseProxies, demandProc, settledRss, withEachProxy } from './memory-options.ts';
import { patternDigest } from './pattern.ts';
import { HEADLINE, PROXY_IDS } from './proxies/catalogue.ts';
import { launchAndWait, makeRunFolder, type RunningProxy } from './rig.ts';
import { type Direction, runTransfer, type TransferFigures, type TransferOptions } from './transfer-run.ts';

export const TRANSFER_HELP = `npm run bench:load -- transfer [options]

Passes a large body through each proxy, down to a slow client and up to a slow server, checks its SHA-256,
and reports how far the proxy's resident memory rose above its level before.

  --size 1GiB           1MiB to 16GiB
  --rate 64MiB          bytes/s that the slow side reads, 1MiB to 1GiB
  --parallel 1          transfers at once, 1 to 100
  --quick               128MiB
  --only LIST           of ${PROXY_IDS.join(', ')}
  --max-growth 32000000 bytes; exit 1 if Foreshard grows by more
  --out DIR             default bench/results
  --json                the result as JSON on stdout instead of the table
`;

const BENCH = 'load-transfer';
const MIB = 1024 ** 2;
const DIRECTIONS: readonly Direction[] = ['download', 'upload'];
/** Compiles the path and fills the proxy's buffers, so that the growth is that of the slow peer alone. */
const WARM_UP_BYTES = 16 * MIB;
const WARM_UP_TIMES = 3;

function parseTransferOptions(args: readonly string[]) {
  const options = {
    size: { type: 'string' },
    rate: { type: 'string', default: '64MiB' },
    parallel: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    'max-growth': { type: 'string', default: '32000000' },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
  } as const;
  return optionValues(args, options);
}

interface NamedFigures extends TransferFigures {
  readonly proxy: string;
}

export async function transfer(args: readonly string[], clock: Clock): Promise<number> {
  const values = parseTransferOptions(args);
  const head = resultHead(BENCH, args, clock);
  endChildrenOnSignals();
  const bytes = sizeOption('size', values.size ?? (values.quick ? '128MiB' : '1GiB'), MIB, 16 * 1024 * MIB);
  const bytesPerSecond = sizeOption('rate', values.rate, MIB, 1024 * MIB);
  const parallel = integerOption('parallel', values.parallel, 1, 100);
  const maxGrowth = integerOption('max-growth', values['max-growth'], 1, 1e12);
  const proxies = await chooseProxies(values.only);
  const progress = openProgress();
  const show = (text: string): void => progress.show(text);
  show('computing the digest');
  const shared = { bytes, bytesPerSecond, parallel, digest: patternDigest(bytes), clock };
  const folder = makeRunFolder();
  const peer = await startPeer(folder, clock);
  demandProc(peer.process);
  const figures: NamedFigures[] = [];
  const absences = await withEachProxy(
    { proxies, origins: [peer.port], workers: 1, folder, clock, show },
    async (definition, proxy) => {
      for (const direction of DIRECTIONS) {
        await warmUp(proxy, direction, clock);
        const rss = await settledRss(proxy.process);
        show(`${definition.id}: ${direction} of ${formatSize(bytes)} at ${formatSize(bytesPerSecond)}/s`);
        const measured = await runTransfer(proxy, rss, { ...shared, direction });
        if (typeof measured === 'string') return measured;
        figures.push({ proxy: definition.id, ...measured });
      }
      return null;
    },
  ).finally(() => peer.process.stop());
  progress.clear();
  report({ figures, absences, maxGrowth, ...shared }, values, head);
  const own = figures.filter((figure) => figure.proxy === HEADLINE);
  return figures.length === 0 || own.some((figure) => figure.growthBytes > maxGrowth) ? 1 : 0;
}

async function startPeer(folder: string, clock: Clock) {
  const [port = 0] = await freePorts(1);
  const program = new URL('./transfer-peer.ts', import.meta.url).pathname;
  const launch = {
    files: [],
    command: { command: process.execPath, args: [program, JSON.stringify({ port })] },
    readyUrl: `http://127.0.0.1:${port}/healthz`,
  };
  const outcome = await launchAndWait(launch, folder, clock);
  if (outcome.kind === 'failed') throw new Error(`the slow peer did not start: ${outcome.why}`);
  return { port, process: outcome.process };
}

async function warmUp(proxy: RunningProxy, direction: Direction, clock: Clock): Promise<void> {
  const warm: TransferOptions = {
    direction,
    bytes: WARM_UP_BYTES,
    bytesPerSecond: 1024 * MIB,
    parallel: 1,
    digest: patternDigest(WARM_UP_BYTES),
    clock,
  };
  for (let i = 0; i < WARM_UP_TIMES; i++) await runTransfer(proxy, 0, warm);
}

interface TransferResult {
  readonly figures: readonly NamedFigures[];
  readonly absences: readonly string[];
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly parallel: number;
  readonly maxGrowth: number;
}

function report(
  result: TransferResult,
  values: ReturnType<typeof parseTransferOptions>,
  head: ResultHead,
): void {
  const { figures, absences, bytes, bytesPerSecond, parallel, maxGrowth } = result;
  const table = transferTable(result);
  const data = { bytes, bytesPerSecond, parallel, maxGrowthBytes: maxGrowth, figures, notMeasured: absences };
  if (values.json) process.stdout.write(`${JSON.stringify({ ...head, ...data }, null, 2)}\n`);
  else process.stdout.write(`${formatOrigin(head.machine, head.commit)}\n\n${formatTable(table)}\n`);
  const charts = DIRECTIONS.map((direction) => ({
    kind: 'lines' as const,
    title: `Resident memory during the ${direction}`,
    xTitle: 'seconds',
    yTitle: 'MiB',
    xScale: 'linear' as const,
    lines: figures
      .filter((figure) => figure.direction === direction)
      .map((figure) => ({
        label: figure.proxy,
        points: figure.samples.map(([at, rss]) => [at, rss / MIB] as const),
      })),
  }));
  const folder = values.out ?? RESULTS_FOLDER;
  const title = 'Memory with a slow peer';
  const files = writeResult({
    head,
    title,
    folder,
    data,
    sections: [{ table, charts }],
  });
  process.stderr.write(`${files.json}\n${files.html}\n`);
}

function transferTable(result: TransferResult): Table {
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const times = result.parallel === 1 ? '' : `${result.parallel} x `;
  return {
    title: `${times}${formatSize(result.bytes)} through one worker, slow side ${formatSize(result.bytesPerSecond)}/s`,
    columns: [
      { title: 'proxy', align: 'left' },
      { title: 'slow', align: 'left' },
      right('RSS before MiB'),
      right('peak MiB'),
      right('growth MB'),
      right('seconds'),
      right('CPU us/MiB'),
    ],
    rows: result.figures.map((figure) => [
      figure.proxy,
      figure.direction === 'download' ? 'client (download)' : 'server (upload)',
      formatMebibytes(figure.rssBeforeBytes),
      formatMebibytes(figure.rssPeakBytes),
      (figure.growthBytes / 1e6).toFixed(1),
      figure.seconds.toFixed(1),
      formatFigure(figure.cpuMicrosPerMebibyte),
    ]),
    notes: [
      `SHA-256 equal in every row. Foreshard may grow by ${(result.maxGrowth / 1e6).toFixed(0)} MB (1 MB = 1e6 bytes).`,
      ...result.absences.map((absence) => `Not measured: ${absence}`),
    ],
  };
}
