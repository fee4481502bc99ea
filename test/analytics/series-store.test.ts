// Room for what is measured: strangers may name what they like and take nothing from what the engine is for.

import t from 'tap';
import { type Entity, groupEntity, regionEntity, serverEntity } from '../../src/analytics/ingest/sample.ts';
import { SeriesStore, type Verdict } from '../../src/analytics/series-store.ts';

const STEP = 30_000;

function newStore(maxColumns = 100, maxEntities = 10): SeriesStore {
  return new SeriesStore({ stepMs: STEP, slots: 20, maxEntities, maxColumns });
}

function add(store: SeriesStore, entity: Entity, metric: string, at = 0): Verdict {
  return store.add({ entity, metric, at, value: 1, source: '' }, at);
}

t.test('metrics of one source cannot take the room of core metrics, nor of other sources', async (t) => {
  const store = newStore();
  const noisy = serverEntity('a', 'noisy');
  const said = Array.from({ length: 300 }, (_, i) => add(store, noisy, `junk_${i}`));
  t.equal(
    said.filter((verdict) => verdict === 'taken').length,
    48,
    'one entity brings as many as a page does',
  );
  t.equal(said.at(-1), 'no_room');
  for (let s = 0; s < 8; s++) {
    for (let i = 0; i < 300; i++) add(store, serverEntity('a', `s${s}`), `junk_${i}`);
  }
  t.equal(store.columnCount, 50, 'all of them together half of what there is');
  for (const metric of ['memory', 'cpu', 'latency_ms.p99', 'rps']) {
    t.equal(add(store, noisy, metric), 'taken', `${metric} of the same source`);
    t.equal(add(store, regionEntity('a'), metric), 'taken');
  }
});

t.test('made up servers cannot take the room of regions and shard groups', async (t) => {
  const store = newStore(100, 10);
  const made = Array.from({ length: 400 }, (_, i) => add(store, serverEntity('a', `s${i}`), 'cpu'));
  t.equal(made.filter((verdict) => verdict === 'taken').length, 10);
  for (let i = 0; i < 10; i++) {
    for (let m = 0; m < 20; m++)
      add(store, serverEntity('a', `s${i}`), ['memory', 'disk', 'rps', 'up'][m % 4]!);
  }
  t.equal(add(store, regionEntity('a'), 'rps'), 'taken');
  t.equal(add(store, groupEntity(3), 'rps'), 'taken');
});

t.test('names that are not measured any more make room for others, and so do servers', async (t) => {
  const store = newStore(100, 2);
  const one = serverEntity('a', 'one');
  for (let i = 0; i < 48; i++) add(store, one, `junk_${i}`);
  t.equal(add(store, one, 'another'), 'no_room');
  for (let slot = 1; slot <= 21; slot++) {
    add(store, one, 'cpu', slot * STEP);
    store.close(slot + 1, () => false);
    store.forget(0);
  }
  t.equal(store.columnCount, 1, 'what the ring does not hold any more is gone');
  t.equal(add(store, one, 'another', 22 * STEP), 'taken');
  add(store, serverEntity('a', 'two'), 'cpu', 22 * STEP);
  t.equal(add(store, serverEntity('a', 'three'), 'cpu', 22 * STEP), 'no_room');
  t.strictSame(store.forget(23 * STEP), ['server/a/one', 'server/a/two']);
  t.equal(add(store, serverEntity('a', 'three'), 'cpu', 22 * STEP), 'taken');
  t.equal(store.columnCount, 1);
});

t.test('what is told again is a duplicate, also when something came in between', async (t) => {
  const store = newStore();
  const region = regionEntity('a');
  t.strictSame(
    [1000, 6000, 1000, 6000, 3000, 3000].map((at) => add(store, region, 'cpu', at)),
    ['taken', 'taken', 'duplicate', 'duplicate', 'taken', 'duplicate'],
  );
});
