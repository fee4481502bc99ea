// What watchers are told between two looks: nothing twice, and nothing falls between them.

import t from 'tap';
import type { ControlSource } from '../../src/control/source.ts';
import { ChangeFeed } from '../../src/control/stream-feed.ts';
import type { TraceQuery } from '../../src/proxy/kept-traces.ts';

t.test('the times in which looks ask for decisions join, and one that fails is made up for', async (t) => {
  let now = 1000;
  const asked: TraceQuery['keptWithin'][] = [];
  let isBroken = false;
  const source = {
    now: () => now,
    plan: () => undefined,
    engine: () => undefined,
    regions: () => [],
    traces: async ({ keptWithin }: TraceQuery) => {
      if (isBroken) throw new Error('a worker is gone');
      asked.push(keptWithin);
      return [];
    },
  } as unknown as ControlSource;
  const feed = new ChangeFeed(source);
  now = 2000;
  await feed.changes();
  now = 3000;
  isBroken = true;
  await t.rejects(feed.changes());
  now = 4000;
  isBroken = false;
  await feed.changes();
  t.strictSame(asked, [
    [1000, 2000],
    [2000, 4000],
  ]);
});

t.test('what has not changed is told once', async (t) => {
  let regions: unknown[] = [{ id: 'east' }];
  const source = {
    now: () => 0,
    plan: () => undefined,
    engine: () => undefined,
    regions: () => regions,
    traces: async () => [],
  } as unknown as ControlSource;
  const feed = new ChangeFeed(source);
  t.equal((await feed.changes()).length, 1);
  t.equal((await feed.changes()).length, 0);
  regions = [{ id: 'west' }];
  t.equal((await feed.changes()).length, 1);
  t.equal((await feed.whole()).length, 1, 'a new watcher gets all of it');
});
