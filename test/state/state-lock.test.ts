import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { tryLockState } from '../../src/state/state-lock.ts';

const MODULE = new URL('../../src/state/state-lock.ts', import.meta.url).href;

t.test('one has the lock; it is free again when it is let go', async (t) => {
  const folder = join(t.testdir({}), 'data');
  const first = tryLockState(folder);
  t.equal(first.kind, 'held', 'the folder is made');
  t.equal(tryLockState(folder).kind, 'busy');
  if (first.kind === 'held') first.release();
  const second = tryLockState(folder);
  t.equal(second.kind, 'held');
  if (second.kind === 'held') second.release();
});

t.test('a process that is killed leaves no lock behind', async (t) => {
  const folder = t.testdir({});
  const code = `const { tryLockState } = await import(${JSON.stringify(MODULE)});
    console.log(tryLockState(${JSON.stringify(folder)}).kind); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const said = await new Promise<string>((resolve) =>
    child.stdout.once('data', (data) => resolve(String(data))),
  );
  t.equal(said.trim(), 'held');
  t.equal(tryLockState(folder).kind, 'busy');
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
  const lock = tryLockState(folder);
  t.equal(lock.kind, 'held');
  if (lock.kind === 'held') lock.release();
});

t.test('a folder that cannot be used is said with its key', async (t) => {
  const folder = t.testdir({ file: '', data: {} });
  t.match(tryLockState(join(folder, 'file', 'data')), {
    kind: 'unusable',
    why: /^state\.path: cannot use .*ENOTDIR/,
  });
  writeFileSync(
    join(folder, 'data', 'lock.sqlite'),
    'this is no database at all, but text of some length'.repeat(40),
  );
  const lock = tryLockState(join(folder, 'data'));
  t.equal(lock.kind, 'held', 'a file that somebody wrote over is made anew: nothing is kept in it');
  t.equal(tryLockState(join(folder, 'data')).kind, 'busy');
  if (lock.kind === 'held') lock.release();
});
