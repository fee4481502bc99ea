import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createLogger } from '../../src/telemetry/logger.ts';

t.test('lines are JSON with level, time, thread and message; levels below are not written', async (t) => {
  const path = join(t.testdir({}), 'log');
  const fd = openSync(path, 'w');
  const log = createLogger({ level: 'info', thread: 'worker-3', fd });
  log.debug({ a: 1 }, 'too quiet');
  log.info({ a: 2 }, 'first');
  log.setLevel('debug');
  log.debug({ a: 3 }, 'second');
  log.error({ text: 'line\nbreak \u2028 and "quotes"' }, 'third');
  await log.flush();
  closeSync(fd);
  const lines = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(lines, [
    { level: 'info', thread: 'worker-3', a: 2, msg: 'first', time: /^\d{4}-\d\d-\d\dT.*Z$/ },
    { level: 'debug', a: 3, msg: 'second' },
    { level: 'error', text: 'line\nbreak \u2028 and "quotes"', msg: 'third' },
  ]);
  t.equal(lines.length, 3);
});

t.test('lines that cannot be written keep nobody waiting and cost bounded memory', async (t) => {
  const fd = openSync('/dev/full', 'w');
  const log = createLogger({ level: 'info', thread: 'main', fd });
  log.info({}, 'lost');
  await log.flush();
  t.pass('flush gives up');
  const line = 'x'.repeat(64 * 1024);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 2000; i++) log.info({ line }, 'lost');
  t.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024, '128 MiB of lines are not kept');
  await log.flush();
});
