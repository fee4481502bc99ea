import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { run } from '../../src/cli/backtest.ts';
import { daily } from '../analytics/forecast/series-shapes.ts';

async function call(args: readonly string[], cwd: string) {
  let out = '';
  let err = '';
  const code = await run(args, {
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

/** Rows of a written file as numbers, behind its header. */
function rowsOf(path: string): number[][] {
  const [, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.split(',').map(Number));
}

const MINUTES = daily(700, 288).map(Math.round);

function minuteFile(rows: number): string {
  const lines = Array.from(MINUTES.subarray(0, rows), (value, i) => {
    const at = new Date(Date.UTC(2026, 0, 1) + i * 300_000).toISOString().slice(0, 16).replace('T', ' ');
    return `${at},${i === 40 ? '' : value}`;
  });
  return `time,requests\n${lines.join('\n')}\n`;
}

t.test('a kind that is not there, or none, is wrong use; help is not', async (t) => {
  const cwd = t.testdir();
  t.match(await call([], cwd), { code: 2, out: '', err: /needs a kind; it must be one of forecast, load/ });
  t.match(await call(['luck'], cwd), { code: 2, err: /there is no kind luck/ });
  t.match(await call(['toString'], cwd), { code: 2 });
  t.match(await call(['--help'], cwd), { code: 0, out: /usage: foreshard backtest KIND/, err: '' });
  t.match(await call(['load', '--help'], cwd), { code: 0, out: /--horizon ROWS/ });
  t.match(await call(['forecast', '--help'], cwd), { code: 0, out: /--methods LIST/ });
});

t.test('wrong options are told with what is allowed; a file that is not there is a failure', async (t) => {
  const cwd = t.testdir({ 'm.csv': minuteFile(50), 's.csv': 'series,t,value\na,1,2\n' });
  const load = ['load', '--series', 'm.csv', '--out', 'f.csv'];
  t.match(await call(['load', '--series', 'm.csv'], cwd), { code: 2, err: /--out is required/ });
  t.match(await call([...load, '--horizon', '0'], cwd), {
    code: 2,
    err: /--horizon must be a whole number from 1 to/,
  });
  t.match(await call([...load, '--every', '1.5'], cwd), { code: 2, err: /given 1.5/ });
  t.match(await call([...load, '--nonsense'], cwd), { code: 2, err: /--nonsense/ });
  t.match(await call([...load, '--column', 'cpu'], cwd), {
    code: 1,
    err: /no column cpu; it has time, requests/,
  });
  t.match(await call(['load', '--series', 'no.csv', '--out', 'f.csv'], cwd), { code: 1, err: /no.csv/ });
  const forecast = ['forecast', '--train', 's.csv', '--out', 'f.csv'];
  t.match(await call([...forecast, '--season', '24,12'], cwd), { code: 2, err: /ascending/ });
  t.match(await call([...forecast, '--methods', 'ar,luck'], cwd), { code: 2, err: /must be of ar/ });
});

t.test('load: every row asked for, gzip or not, and no row knows what comes after it', async (t) => {
  const cwd = t.testdir({ 'whole.csv': minuteFile(700), 'cut.csv': minuteFile(500) });
  writeFileSync(join(cwd, 'whole.csv.gz'), gzipSync(minuteFile(700)));
  const args = (file: string, out: string) => [
    'load',
    '--series',
    file,
    '--horizon',
    '4',
    '--from',
    '30',
    '--out',
    out,
  ];
  t.match(await call(args('whole.csv', 'a.csv'), cwd), { code: 0, out: '', err: '' });
  t.match(await call(args('whole.csv.gz', 'b.csv'), cwd), { code: 0 });
  t.match(await call(args('cut.csv', 'c.csv'), cwd), { code: 0 });
  const [whole, zipped, cut] = ['a.csv', 'b.csv', 'c.csv'].map((name) => rowsOf(join(cwd, name)));
  t.strictSame(zipped, whole);
  t.equal(whole!.length, 670 * 4);
  t.strictSame(
    whole!.slice(0, 5).map(([index, h]) => [index, h]),
    [
      [30, 1],
      [30, 2],
      [30, 3],
      [30, 4],
      [31, 1],
    ],
  );
  t.strictSame(cut, whole!.slice(0, cut!.length), 'prefixes agree');
  t.ok(whole!.flat().every(Number.isFinite), 'the row without a value too');

  let own = 0;
  let persistence = 0;
  let inside = 0;
  const judged = whole!.filter(([index, h]) => h === 4 && index! >= 350 && index! + 4 < 700);
  for (const [index, h, value, lower, upper] of judged) {
    const target = MINUTES[index! + h!]!;
    own += Math.abs(value! - target);
    persistence += Math.abs(MINUTES[index!]! - target);
    if (target >= lower! && target <= upper!) inside += 1;
  }
  t.ok(own < 0.9 * persistence, `${own} against ${persistence}`);
  t.ok(inside / judged.length > 0.8, `${inside} of ${judged.length}`);

  const sparse = [...args('cut.csv', 'd.csv'), '--every', '100'];
  t.match(await call(sparse, cwd), { code: 0 });
  t.strictSame([...new Set(rowsOf(join(cwd, 'd.csv')).map(([index]) => index))], [30, 130, 230, 330, 430]);
});

t.test('forecast: each series after its end, better than yesterday again', async (t) => {
  const length = 24 * 12;
  const long = [daily(length + 24, 24, 1), daily(length + 24, 24, 2)];
  const lines = long.flatMap((values, s) =>
    [...values.subarray(0, length)].map((value, i) => `s${s},${i + 1},${value}`),
  );
  const cwd = t.testdir({ 'train.csv': `series,t,value\n${lines.join('\n')}\nshort,1,5\n` });
  const args = ['forecast', '--train', 'train.csv', '--horizon', '24', '--season', '24', '--out', 'f.csv'];
  t.match(await call(args, cwd), { code: 0, err: '' });
  const written = readFileSync(join(cwd, 'f.csv'), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  t.strictSame([...new Set(written.map(([name]) => name))], ['s0', 's1', 'short']);
  t.equal(written.length, 3 * 24);
  for (const [s, values] of long.entries()) {
    const rows = written.filter(([name]) => name === `s${s}`).map((row) => row.slice(1).map(Number));
    let own = 0;
    let naive = 0;
    for (const [h, value] of rows) {
      own += Math.abs(value! - values[length + h! - 1]!);
      naive += Math.abs(values[length + h! - 25]! - values[length + h! - 1]!);
    }
    t.ok(own < naive, `${own} against ${naive}`);
  }
  t.ok(written.filter(([name]) => name === 'short').every(([, , value]) => value === '5'));
  t.match(await call([...args, '--methods', 'ar,holt-winters'], cwd), { code: 0, err: '' });
});
