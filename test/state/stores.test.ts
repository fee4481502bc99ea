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

t.test('hours are told over what is kept as it came and what was folded, each value once', async (t) => {
  const { history } = HistoryDatabase.open(join(t.testdir(), 'history.sqlite'), NOW);
  const start = NOW - 3 * DAY;
  const told = (entity: string, metric: string, days: number) =>
    Array.from({ length: days * 1440 }, (_, i) => ({
      entity,
      metric,
      at: NOW - days * DAY + (i + 1) * MINUTE,
      value: Math.floor((NOW - days * DAY + i * MINUTE - start) / (60 * MINUTE)),
    }));
  history.append([
    ...told('group/1', 'rps', 3),
    ...told('server/a/b', 'rps', 1),
    ...told('group/1', 'cpu', 1),
  ]);
  const hours = () => history.hours('rps', ['group/', 'region/'], NOW - 10 * DAY);
  const raw = hours();
  t.equal(raw.length, 72);
  t.strictSame(raw[5], { entity: 'group/1', hour: start / (60 * MINUTE) + 5, mean: 5, n: 60 });
  history.prune(NOW, 14 * DAY);
  const folded = hours();
  t.equal(folded.length, 72);
  // A value at the full hour is of the hour before it, and is folded into the one after it.
  t.ok(folded.every(({ mean, n }, hour) => Math.abs(mean - hour) < 0.1 && n >= 49 && n <= 61));
  history.append(told('group/1', 'rps', 5).slice(0, 1440));
  history.prune(NOW, 14 * DAY);
  t.equal(hours().length, 97, 'what was told afterwards of days long ago is folded too, not lost');
  history.save('models/region/a', NOW, 'x');
  history.save('plan/decisions', NOW, 'y');
  history.setAside('models/region/a');
  t.equal(history.load('models/region/a'), undefined);
  t.equal(history.load('aside/models/region/a'), 'x');
  history.prune(NOW + 15 * DAY, 14 * DAY);
  t.equal(history.load('aside/models/region/a'), undefined, 'for as long as metrics are kept');
  t.equal(history.load('plan/decisions'), 'y');
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

t.test('a transaction that sqlite ends by itself tells its cause and mixes up no series', async (t) => {
  const path = join(t.testdir(), 'history.sqlite');
  const { history } = HistoryDatabase.open(path, NOW);
  // What a full disk does: the statement fails and sqlite has rolled back before the caller hears of it.
  const disk = new DatabaseSync(path);
  disk.exec("CREATE TRIGGER full BEFORE INSERT ON raw BEGIN SELECT RAISE(ROLLBACK, 'disk is full'); END");
  const of = (entity: string, value: number) => ({ entity, metric: 'rps', at: NOW, value });
  t.throws(() => history.append([of('region/a', 1)]), { message: 'disk is full' });
  disk.exec('DROP TRIGGER full');
  disk.close();
  history.append([of('region/b', 2)]);
  history.append([of('region/a', 3)]);
  const told = (entity: string) => history.query({ entity, metric: 'rps', from: NOW, to: NOW + 1 });
  t.same(
    told('region/b'),
    [{ at: NOW, value: 2 }],
    'the id of a series that was rolled back is not used again',
  );
  t.same(told('region/a'), [{ at: NOW, value: 3 }]);
  history.close();
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
