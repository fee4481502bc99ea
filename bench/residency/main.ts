// npm run bench:residency: a million random fault schedules against random locks, in simulation. The figure is
// the number of requests that reached a region which a lock forbids; more than none makes the command fail.

import { parseArgs } from 'node:util';
import { runSchedules } from '../../test/rig/residency-schedules.ts';
import { integerOption, WrongUse } from '../load/command-line.ts';
import { describeCommit, describeMachine, formatOrigin } from '../report/machine.ts';

const HELP = `npm run bench:residency -- [options]

Decides, places and retries requests as the proxy does while servers fail at random.
Exit code 1 when one of them reached a region that a lock forbids.

  --schedules 1000000   fault schedules, one request each
  --seed 1              the same seed gives the same schedules
  -h, --help            this text
`;

const OPTIONS = {
  schedules: { type: 'string', default: '1000000' },
  seed: { type: 'string', default: '1' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function main(): number {
  const { schedules, seed, help } = readOptions();
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  const { escapes, ...counts } = runSchedules(
    integerOption('schedules', schedules, 1, 1e9),
    integerOption('seed', seed, 0, 2 ** 31),
  );
  const lines = Object.entries({ ...counts, escapes: escapes.length }).map(
    ([name, count]) => `${name.padEnd(10)} ${count.toLocaleString('en').padStart(12)}`,
  );
  process.stdout.write(`${formatOrigin(describeMachine(), describeCommit())}\n\n${lines.join('\n')}\n`);
  for (const words of escapes) process.stdout.write(`${words}\n`);
  return escapes.length === 0 ? 0 : 1;
}

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new WrongUse((error as Error).message);
  }
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
