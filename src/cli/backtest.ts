// `foreshard backtest`: the engine on recorded data, by the same code as in production, rows in order and
// without look-ahead. One sub-command a kind of prediction, each in a file of its own under backtest/.

import type { Command, CommandIo } from './command-io.ts';
import { EXIT_FINE, EXIT_WRONG_USE } from './command-io.ts';

interface Kind {
  readonly does: string;
  load(): Promise<{ readonly run: Command }>;
}

// A further kind of prediction is one line here and one file beside the others.
const KINDS: Readonly<Record<string, Kind>> = {
  forecast: {
    does: 'hours ahead, once for each series of a file',
    load: () => import('./backtest/forecast.ts'),
  },
  load: { does: 'load some rows ahead, at each row of a series', load: () => import('./backtest/load.ts') },
  anomaly: {
    does: 'how abnormal each row is, of one metric or of many',
    load: () => import('./backtest/anomaly.ts'),
  },
  failure: {
    does: 'the probability that an incident begins soon, at each row of metrics',
    load: () => import('./backtest/failure.ts'),
  },
  overload: {
    does: 'the probability that load passes capacity soon, at each row',
    load: () => import('./backtest/overload.ts'),
  },
};

function help(): string {
  const lines = Object.entries(KINDS).map(([kind, { does }]) => `  ${kind.padEnd(10)} ${does}`);
  return `usage: foreshard backtest KIND [options]

Replays recorded data through the engine: row by row, no row seen before its time. Files ending in .gz
are read as they are.

${lines.join('\n')}

foreshard backtest KIND --help tells more. Exit code: 0 fine, 1 failed, 2 wrong use.
`;
}

/** Runs the command with the arguments behind its name; resolves to the exit code. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const [kind, ...rest] = args;
  if (kind === '--help' || kind === '-h') {
    io.out(help());
    return EXIT_FINE;
  }
  const found = kind !== undefined && Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (found === undefined) {
    const what = kind === undefined ? 'needs a kind' : `there is no kind ${kind}`;
    io.err(`foreshard backtest: ${what}; it must be one of ${Object.keys(KINDS).join(', ')}\n\n${help()}`);
    return EXIT_WRONG_USE;
  }
  const { run: runKind } = await found.load();
  return runKind(rest, io);
}
