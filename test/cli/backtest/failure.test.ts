import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { figuresOf, rivalsOf } from '../../../src/cli/backtest/risk-report.ts';
import { run } from '../../../src/cli/backtest.ts';
import type { CommandIo } from '../../../src/cli/command-io.ts';
import { seededRandom } from '../../../src/core/random.ts';
import { METRICS, serverRows } from '../../rig/failing-servers.ts';

function ioIn(cwd: string): CommandIo & { said: string[]; complained: string[] } {
  const [said, complained]: [string[], string[]] = [[], []];
  return {
    said,
    complained,
    cwd,
    env: {},
    out: (text) => void said.push(text),
    err: (text) => void complained.push(text),
  };
}

function serverCsv(count: number, labelled: boolean): string {
  const troubles = [300, 700, 1100].map((row) => ({ kind: 'leak', row, rows: 60 }) as const);
  const lines = [...serverRows(count, labelled ? troubles : [], labelled ? 2 : 1)].map(
    ({ values, failing }, row) => {
      return [row, ...values, ...(labelled ? [failing ? 1 : 0] : [])].join(',');
    },
  );
  return `${['t', ...METRICS, ...(labelled ? ['label'] : [])].join(',')}\n${lines.join('\n')}\n`;
}

function loadCsv(count: number, tested: boolean): string {
  const random = seededRandom(tested ? 4 : 3);
  const lines = Array.from({ length: count }, (_, row) => {
    const requests = Math.round(60 + 50 * Math.sin(row / 40) + 10 * random.next());
    return tested ? `${row},x,${requests},105,${requests > 105 ? 1 : 0}` : `${row},x,${requests}`;
  });
  return `t,time,requests${tested ? ',capacity,label' : ''}\n${lines.join('\n')}\n`;
}

const FAILURE = ['failure', '--train', 'train.csv', '--window', '20', '--step', '30'];

t.test(
  'backtest failure writes a probability a row, prints its rivals, and does not look ahead',
  async (t) => {
    const dir = t.testdir({ 'train.csv': serverCsv(600, false), 'test.csv': serverCsv(1300, true) });
    writeFileSync(join(dir, 'cut.csv'), serverCsv(780, true));
    const io = ioIn(dir);
    t.equal(await run([...FAILURE, '--test', 'test.csv', '--out', 'risk.csv'], io), 0, io.complained.join());
    t.equal(await run([...FAILURE, '--test', 'cut.csv', '--out', 'cut-risk.csv'], io), 0);
    const risk = readFileSync(join(dir, 'risk.csv'), 'utf8').trim().split('\n');
    t.equal(risk[0], 't,risk');
    t.equal(risk.length, 1301);
    t.ok(
      risk
        .slice(1)
        .every((line, row) => Number(line.split(',')[0]) === row && /,(0|1|0?\.?\d.*)$/.test(line)),
    );
    const cut = readFileSync(join(dir, 'cut-risk.csv'), 'utf8').trim().split('\n');
    t.strictSame(risk.slice(0, 781), cut, 'the first 780 rows are the same without the rest');
    const peak = Math.max(...risk.slice(340, 360).map((line) => Number(line.split(',')[1])));
    t.ok(peak > 0.5, `${peak} before the first failure`);
    t.match(
      io.said[0],
      /3 incidents.*\nmodel +AUC-PR +Brier skill\nforeshard .*\nbase rate so far .*\npersistence .*\ntime of day/,
    );
  },
);

t.test('backtest overload does the same for load, without reading the labels', async (t) => {
  const test = loadCsv(2600, true);
  const dir = t.testdir({
    'train.csv': loadCsv(800, false),
    'test.csv': test,
    'blind.csv': test.replace(/,[01]$/gm, ',0'),
  });
  const args = ['overload', '--train', 'train.csv', '--window', '10'];
  const io = ioIn(dir);
  t.equal(await run([...args, '--test', 'test.csv', '--out', 'risk.csv'], io), 0, io.complained.join());
  t.equal(await run([...args, '--test', 'blind.csv', '--out', 'blind-risk.csv'], io), 0);
  const risk = readFileSync(join(dir, 'risk.csv'), 'utf8');
  t.equal(risk, readFileSync(join(dir, 'blind-risk.csv'), 'utf8'));
  t.match(io.said[0], /foreshard +0\.\d+ .*\nbase rate so far/);
  t.match(io.said[1], 'no incident in this file: nothing to compare');
});

t.test('wrong use says what is missing, and writes nothing', async (t) => {
  const dir = t.testdir({ 'train.csv': serverCsv(50, false), 'test.csv': 't,cpu,label\n0,1,0\n' });
  for (const [args, expected, code] of [
    [['failure', '--train', 'train.csv'], /--out is required/, 2],
    [[...FAILURE, '--test', 'test.csv', '--out', 'x.csv'], /--test has no column memory, error_rate/, 2],
    [
      [...FAILURE.slice(0, -1), '0', '--test', 'test.csv', '--out', 'x.csv'],
      /--step must be a whole number from 1/,
      2,
    ],
    [['overload', '--train', 'no.csv', '--test', 'no.csv', '--window', '10', '--out', 'x.csv'], /no\.csv/, 1],
    [['overload', '--trian', 'x'], /Unknown option '--trian'/, 2],
  ] as const) {
    const io = ioIn(dir);
    t.equal(await run(args, io), code);
    t.match(io.complained.join(''), expected);
  }
});

t.test('the printed figures are those of the definition, and rivals see only the past', async (t) => {
  const labels = Float64Array.from([0, 0, 0, 1, 1, 0, 0, 0]);
  const perfect = Float64Array.from([0, 1, 1, 0.3, 0.3, 0, 0, 0]);
  t.match(figuresOf(perfect, labels, 2), { averagePrecision: 1, skill: 1 });
  const coin = new Float64Array(8).fill(2 / 6);
  const { averagePrecision, skill } = figuresOf(coin, labels, 2);
  t.ok(Math.abs(averagePrecision - 2 / 6) < 1e-12 && Math.abs(skill) < 1e-12, 'a coin has no skill');
  const daily = Float64Array.from({ length: 400 }, (_, row) => (row % 40 === 20 ? 1 : 0));
  const [, persistence, timeOfDay] = rivalsOf(daily, 5, 40);
  t.equal(timeOfDay!.risk[215]! > 0.7, true, 'the hour before it is known to fail');
  t.equal(timeOfDay!.risk[222]!, 0);
  t.equal(persistence!.risk[222], 1);
  const changed = Float64Array.from(daily, (label, row) => (row >= 300 ? 1 - label : label));
  rivalsOf(changed, 5, 40).forEach(({ name, risk }, at) => {
    t.strictSame(risk.slice(0, 301), rivalsOf(daily, 5, 40)[at]!.risk.slice(0, 301), name);
  });
});
