// Long-lived streams whose keys belong elsewhere by now are closed, those of a shard that still moves are not.

import t from 'tap';
import { LongLivedStreams } from '../../src/proxy/long-lived.ts';
import { decide, type Forward } from '../../src/routing/decide.ts';
import { NOT_MOVING } from '../../src/routing/ownership.ts';
import type { Snapshot } from '../../src/routing/snapshot.ts';
import { contextOf, factsOf, World } from '../rig/world.ts';

const world = new World({ regions: ['a', 'b', 'c'].map((id) => ({ id })) });

function decisionOf(key: string, from: World = world): Forward {
  const decision = decide(
    from.snapshot,
    from.live(),
    factsOf({ fields: ['x-shard-key', key] }),
    contextOf({}),
  );
  if (decision.kind !== 'forward') throw new Error(`not forwarded: ${decision.kind}`);
  return decision;
}

/** The world's snapshot with the shard of `decision` at another region; on its way there with `progress`. */
function moved({ shard, region }: Forward, progress?: number): Snapshot {
  const [set] = world.snapshot.sets;
  const owners = set!.owners.slice();
  owners[shard] = (region + 1) % 3;
  const from = new Uint16Array(owners.length).fill(NOT_MOVING);
  from[shard] = region;
  const shift =
    progress === undefined ? null : { seed: { hi: 0, lo: 1 }, from, progress: [[0, progress] as const] };
  return { ...world.snapshot, sets: [{ ...set!, owners, movement: { ...set!.movement, shift } }] };
}

/** @returns whether the stream of `decision` was closed. */
async function isReleased(decision: Forward, snapshot: Snapshot): Promise<boolean> {
  const streams = new LongLivedStreams({ next: () => 0, u32: () => 0 });
  const { slot } = world.snapshot.regions[decision.region]!.servers[0]!;
  return new Promise((resolve) => {
    streams.add({ serverSlot: slot, decision, release: () => resolve(true) });
    streams.releaseMoved(snapshot, 0, 0);
    // Timers of the same delay end in the order in which they were set.
    setTimeout(() => setTimeout(() => resolve(false), 0), 0);
  });
}

t.test('a stream is closed when its key has moved, not before', async (t) => {
  const decision = decisionOf('user-1');
  t.equal(await isReleased(decision, world.snapshot), false, 'nothing moved');
  t.equal(await isReleased(decision, moved(decision, 0.5)), false, 'on its way');
  t.equal(await isReleased(decision, moved(decision, 1)), true, 'the shift has ended');
  t.equal(await isReleased(decision, moved(decision)), true);
});

t.test('a stream that was not placed by the table is left alone', async (t) => {
  const decision = decisionOf('user-1');
  for (const other of [
    { ...decision, choice: 'failover' as const },
    { ...decision, isKeyed: false },
    { ...decision, route: { ...decision.route, policy: 'least_loaded' as const } },
  ]) {
    t.equal(await isReleased(other, moved(decision)), false);
  }
});

t.test('a stream that was to be closed later is closed sooner when its server has less time', async (t) => {
  const draws = [1, 0];
  const streams = new LongLivedStreams({ next: () => draws.shift()!, u32: () => 0 });
  let closed = 0;
  // The streams' own timers keep no process alive.
  const alive = setInterval(() => {}, 1000);
  await new Promise<void>((resolve) => {
    const stream = {
      serverSlot: 3,
      decision: decisionOf('user-1'),
      release: () => {
        closed += 1;
        streams.delete(stream);
        resolve();
      },
    };
    streams.add(stream);
    streams.release([3], 3_600_000);
    streams.release([3], 10);
  });
  clearInterval(alive);
  t.equal(closed, 1);
});
