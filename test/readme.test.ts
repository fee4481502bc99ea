// The README says what the program does: its tables are made from the program's own, its files exist, and
// its first lines are what a new user types.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NOT_YET, REM_NOT_YET } from '../src/config/not-yet.ts';
import { withTables } from './rig/readme-tables.ts';

const ROOT = join(import.meta.dirname, '..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

t.test('it opens with the two commands', async (t) => {
  const opening = readme.split('\n').slice(0, 20).join('\n');
  t.match(opening, /^npm ci && npm start$/m);
  t.match(opening, /^npm ci && npm test$/m);
  t.ok(opening.indexOf('npm start') < opening.indexOf('npm test'));
});

t.test(
  'tables of keys, reasons and metrics are those of the program (npm run readme writes them)',
  async (t) => {
    t.equal(withTables(readme), readme);
    const [proxy = '', rem = ''] = readme.split('<!-- table: manager -->');
    for (const [text, entries] of [
      [proxy, NOT_YET],
      [rem, REM_NOT_YET],
    ] as const) {
      for (const { key } of entries) {
        const row = text.split('\n').find((line) => line.startsWith(`| \`${key}`));
        t.match(row, /[Nn]ot available yet|are available yet/, key);
      }
    }
  },
);

t.test('every file, script and command that it names is there', async (t) => {
  const names = [
    ...readme.matchAll(/`((?:src|test|bench|\.ci)\/[\w./-]*|[A-Z][A-Za-z]*file|LICENSE|proxy\.yaml)`/g),
  ];
  t.ok(names.length > 20);
  for (const [, name] of names) {
    if (name !== 'bench/results/') t.ok(existsSync(join(ROOT, name!)), name!);
  }
  for (const [, script] of readme.matchAll(/npm run ([\w:]+)/g))
    t.ok(manifest.scripts[script!] !== undefined, script!);
  const help = execFileSync(process.execPath, [join(ROOT, 'src/main.js'), '--help'], { encoding: 'utf8' });
  const verbs = [...help.matchAll(/^ {2}(\w+) +\w/gm)].map(([, verb]) => verb!);
  t.ok(verbs.length >= 4);
  for (const verb of verbs)
    t.match(readme, `| \`npx foreshard ${verb}`, `the command ${verb} is in the table`);
});
