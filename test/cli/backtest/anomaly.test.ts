import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { scoreMetric, scoreRows } from '../../../src/cli/backtest/anomaly.ts';
import { run } from '../../../src/cli/backtest.ts';
import { recordMetric, recordRows } from '../../analytics/anomaly/recordings.ts';

async function call(cwd: string, ...args: string[]) {
  let out = '';
  let err = '';
  const code = await run(['anomaly', ...args], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env: {},
    cwd,
  });
  return { code, out, err };
}

t.test('folders of single metrics, plain or gzipped, become folders of scores', async (t) => {
  const values = recordMetric({ rows: 400, seed: 1, breaks: 'spike', at: 300 });
  const text = [
    'timestamp,value',
    ...Array.from(values, (value, row) => `2026-01-01 00:00:${row},${value}`),
  ].join('\r\n');
  const cwd = t.testdir({ in: { cpu: { 'a.csv': text }, note: 'not a recording' } });
  writeFileSync(join(cwd, 'in/cpu/b.csv.gz'), gzipSync(text));
  t.strictSame(await call(cwd, '--data', 'in', '--out', 'out'), {
    code: 0,
    out: '2 files, 800 rows\n',
    err: '',
  });
  const written = readFileSync(join(cwd, 'out/cpu/a.csv'), 'utf8');
  t.equal(readFileSync(join(cwd, 'out/cpu/b.csv'), 'utf8'), written);
  const [header, ...rows] = written.trimEnd().split('\n');
  t.equal(header, 'timestamp,value,anomaly_score');
  t.strictSame(
    rows.map((row) => Number(row.split(',')[2])),
    [...scoreMetric(values)],
  );
  t.equal(rows[300]!.split(',')[0], '2026-01-01 00:00:300');
});

t.test('rows of metrics are judged by a history; t and label are not looked at', async (t) => {
  const all = recordRows(700, 2, 650);
  const csv = (rows: readonly Float64Array[], label: string): string =>
    [
      `t,a,b,c,d,e${label}`,
      ...rows.map((row, i) => `${i},${[...row].join(',')}${label && `,${i % 2}`}`),
    ].join('\n');
  const cwd = t.testdir({
    'x.train.csv': csv(all.slice(0, 600), ''),
    'x.test.csv': csv(all.slice(600), ',label'),
    'other.csv': 't,z\n0,1\n',
    'short.csv': csv(all.slice(0, 3), ''),
  });
  t.strictSame(await call(cwd, '--train', 'x.train.csv', '--test', 'x.test.csv', '--out', 'deep/x.csv'), {
    code: 0,
    out: '5 metrics, 100 rows\n',
    err: '',
  });
  const [header, ...rows] = readFileSync(join(cwd, 'deep/x.csv'), 'utf8').trimEnd().split('\n');
  t.equal(header, 't,risk');
  t.strictSame(
    rows.map((row) => Number(row.split(',')[1])),
    [...scoreRows(all.slice(0, 600), all.slice(600))],
  );

  const missing = await call(cwd, '--train', 'x.train.csv', '--test', 'other.csv', '--out', 'y.csv');
  t.equal(missing.code, 1);
  t.match(missing.err, /no column a/);
  const short = await call(cwd, '--train', 'short.csv', '--test', 'x.test.csv', '--out', 'y.csv');
  t.equal(short.code, 1);
  t.match(short.err, /at least 60 rows, it has 3/);
  for (const [name, text] of Object.entries({ 'header.csv': 't,a,b,c,d,e\n', 'empty.csv': '' })) {
    writeFileSync(join(cwd, name), text);
    t.match(await call(cwd, '--train', 'x.train.csv', '--test', name, '--out', 'y.csv'), {
      code: 1,
      err: 'foreshard backtest anomaly: the test has no rows: a header and at least one row are needed\n',
    });
  }
  const nothing = await call(cwd, '--train', 'empty.csv', '--test', 'x.test.csv', '--out', 'y.csv');
  t.match(nothing.err, /the history has no column of a metric\n$/);
});

t.test('wrong use is told with the help', async (t) => {
  const cwd = t.testdir({ empty: {} });
  for (const args of [
    [],
    ['--out', 'o'],
    ['--data', 'd'],
    ['--data', 'd', '--train', 'x', '--out', 'o'],
    ['--nonsense'],
  ]) {
    const { code, err } = await call(cwd, ...args);
    t.equal(code, 2, args.join(' '));
    t.match(err, /usage: foreshard backtest anomaly/);
  }
  t.equal((await call(cwd, '--data', 'empty', '--out', 'o')).code, 1);
  t.match((await call(cwd, '--help')).out, /^usage: foreshard backtest anomaly/);
});
