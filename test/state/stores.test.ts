// History on disk: what was appended is there after a restart, what is damaged is set aside.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { HistoryDatabase } from '../../src/state/stores/history-database.ts';
import { HistoryStore } from '../../src/state/stores/history-store.ts';
import type { Logger } from '../../src/telemetry/logger.ts';

const NOW = Date.UTC(2026, 0, 10);
const MINUTE = 60_000;
const DAY = 86_400_000;

function recordingLog(): Logger & { readonly errors: object[] } {
  const errors: object[] = [];
  const none = (): void => {};
  return {
    errors,
    debug: none,
    info: none,
    warn: none,
    error: (fields) => errors.push(fields),
    setLevel: none,
    flush: async () => {},
  };
}

t.test('values are kept, downsampled when old and deleted in the end', async (t) => {
  const path = join(t.testdir(), 'history.sqlite');
  const { history, note } = HistoryDatabase.open(path, NOW);
  t.equal(note, undefined);
  const start = NOW - 3 * DAY;
  const values = Array.from({ length: 3 * 1440 }, (_, i) => ({
    entity: 'region/a',
    metric: 'rps',
    at: start + i * MINUTE,
    value: i % 10,
  }));
  history.append(values);
  const query = { entity: 'region/a', metric: 'rps', from: start, to: NOW };
  t.equal(history.query(query).length, 4320);
  history.prune(NOW, 14 * DAY);
  const points = history.query(query);
  t.equal(points.length, 144 + 2880, 'a day of ten-minute means, two days as they came');
  t.strictSame(points[0], { at: start, value: 4.5 });
  t.ok(points.every(({ at }, i) => i === 0 || at > points[i - 1]!.at));
  history.prune(NOW, DAY);
  t.equal(history.query(query).length, 1440);
  history.prune(NOW + 2 * DAY, DAY);
  t.strictSame(history.query(query), []);
  t.strictSame(history.query({ ...query, metric: 'unknown' }), []);
  history.close();
});

t.test('a restart finds values and state; appends are grouped and answered for', async (t) => {
  const path = join(t.testdir(), 'history.sqlite');
  const log = recordingLog();
  const first = await HistoryStore.open({ path, retentionMs: DAY, now: NOW }, log);
  for (let i = 0; i < 100; i++) {
    first.append([{ entity: 'server/a/x', metric: 'cpu', at: NOW + i, value: i / 100 }]);
  }
  first.save('scores/x', NOW, '{"n":1}');
  const points = await first.query({ entity: 'server/a/x', metric: 'cpu', from: NOW, to: NOW + 1000 });
  t.equal(points.length, 100, 'a question sees what was appended before it');
  await first.close();
  t.equal(await first.load('scores/x'), undefined, 'a closed store answers nothing');
  const second = await HistoryStore.open({ path, retentionMs: DAY, now: NOW }, log);
  t.equal(await second.load('scores/x'), '{"n":1}');
  const replayed = await second.replay(NOW + 50, 10);
  t.strictSame(
    replayed.map(({ at }) => at - NOW),
    [90, 91, 92, 93, 94, 95, 96, 97, 98, 99],
    'the newest, oldest first',
  );
  await second.close();
  t.strictSame(log.errors, []);
});

t.test('a corrupt file is set aside and said so, and the store begins anew', async (t) => {
  const folder = t.testdir({
    'history.sqlite': 'this is no database, but long enough to be read as one '.repeat(50),
  });
  const path = join(folder, 'history.sqlite');
  const log = recordingLog();
  const store = await HistoryStore.open({ path, retentionMs: DAY, now: NOW }, log);
  t.match(log.errors, [
    { problem: /^history\.sqlite cannot be read .* set aside as history\.sqlite\.corrupt-/ },
  ]);
  store.append([{ entity: 'e', metric: 'm', at: NOW, value: 1 }]);
  t.equal((await store.query({ entity: 'e', metric: 'm', from: NOW, to: NOW + 1 })).length, 1);
  await store.close();
  const aside = readdirSync(folder).find((name) => name.includes('corrupt'))!;
  t.match(
    readFileSync(join(folder, aside), 'utf8'),
    /^this is no database/,
    'for whoever wants to look into it',
  );
});

t.test('damage inside the file is found as well, and a newer version is left alone', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'history.sqlite');
  const { history } = HistoryDatabase.open(path, NOW);
  history.append(
    Array.from({ length: 5000 }, (_, i) => ({ entity: `e${i}`, metric: 'm', at: NOW + i, value: i })),
  );
  history.close();
  const bytes = readFileSync(path);
  bytes.fill(0xff, 8192, 40_000);
  writeFileSync(path, bytes);
  const opened = HistoryDatabase.open(path, NOW);
  t.match(opened.note, /set aside/);
  opened.history.close();
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99');
  db.close();
  const newer = HistoryDatabase.open(path, NOW + 1);
  t.match(newer.note, /version is 99/);
  newer.history.close();
  for (let i = 0; i < 6; i++) {
    writeFileSync(path, 'broken again '.repeat(100));
    HistoryDatabase.open(path, NOW + 1000 + i).history.close();
  }
  t.equal(
    readdirSync(folder).filter((name) => name.includes('corrupt')).length,
    3,
    'only the newest are kept',
  );
  t.ok(existsSync(path));
});

t.test('without a usable disk the owner goes on', async (t) => {
  const log = recordingLog();
  const path = join(t.testdir(), 'missing', 'folder', 'history.sqlite');
  const store = await HistoryStore.open({ path, retentionMs: DAY, now: NOW }, log);
  store.append([{ entity: 'e', metric: 'm', at: NOW, value: 1 }]);
  t.strictSame(await store.query({ entity: 'e', metric: 'm', from: 0, to: NOW }), []);
  await store.close();
  t.ok(log.errors.length > 0);
});
