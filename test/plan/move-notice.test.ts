// Notices: what is told is what moves, once, in ranges of the key hash.

import t from 'tap';
import { type MoveNotice, moveNotices } from '../../src/plan/move-notice.ts';
import { encodeOwners, type Plan } from '../../src/plan/plan.ts';

const AT = '2026-11-27T10:00:00.000Z';
const LATER = '2026-11-27T10:00:30.000Z';

interface TableParts {
  readonly owners: readonly number[];
  readonly moving?: readonly [number, number][];
  readonly progress?: readonly [string, number][];
  readonly id?: string;
}

/** A plan of 64 shards: the given owners, the rest with region 0. */
function planWith({
  owners,
  moving,
  progress = [
    [AT, 0],
    [LATER, 1],
  ],
  id = 's1',
}: TableParts): Plan {
  const all = Uint16Array.from({ length: 64 }, (_, shard) => owners[shard] ?? 0);
  return {
    incarnation: '01J',
    generation: 1,
    issuedAt: AT,
    evaluatedAt: AT,
    now: AT,
    ttlSeconds: 60,
    mode: 'auto',
    regions: ['a', 'b', 'c'].map((region) => ({ id: region, baseWeight: 1, weight: 1 })),
    failoverOrder: ['a', 'b', 'c'],
    tables: [
      {
        id: 'all',
        regions: ['a', 'b', 'c'],
        critical: false,
        shards: 64,
        encoding: 'u16le-base64',
        owners: encodeOwners(all),
        lends: [],
        neutral: [],
        ...(moving === undefined
          ? {}
          : {
              shift: { id, moving: moving.map(([...pair]) => pair), progress: progress.map(([...p]) => p) },
            }),
      },
    ],
    digest: '0'.repeat(64),
  };
}

const still = planWith({ owners: [1, 1, 1, 2] });
const shifting: TableParts = {
  owners: [0, 0, 1, 0],
  moving: [
    [0, 1],
    [1, 1],
    [3, 2],
  ],
};

t.test('a shift is told with its ranges, times and both owners', async (t) => {
  t.strictSame(moveNotices(still, planWith(shifting)), [
    {
      table: 'all',
      shift: 's1',
      startsAt: AT,
      endsAt: LATER,
      moves: [
        { from: 'b', to: 'a', shards: 2, ranges: [['0000000000000000', '07ffffffffffffff']] },
        { from: 'c', to: 'a', shards: 1, ranges: [['0c00000000000000', '0fffffffffffffff']] },
      ],
    },
  ] satisfies MoveNotice[]);
});

t.test('what was told is not told again: held, resumed, ended', async (t) => {
  const held = planWith({ ...shifting, progress: [[AT, 0.4]] });
  t.strictSame(moveNotices(planWith(shifting), held), []);
  t.strictSame(moveNotices(held, planWith(shifting)), []);
  t.strictSame(moveNotices(planWith(shifting), planWith({ owners: shifting.owners })), []);
  t.strictSame(moveNotices(still, still), []);
  t.strictSame(moveNotices(undefined, still), [], 'where nothing was, nothing moves');
});

t.test('a revert is told with the ends exchanged, and its end is not', async (t) => {
  const reverting = planWith({
    ...shifting,
    progress: [
      [AT, 0.4],
      [LATER, 0],
    ],
  });
  const [notice] = moveNotices(planWith(shifting), reverting);
  t.match(notice, {
    shift: 's1',
    moves: [
      { from: 'a', to: 'b', shards: 2 },
      { from: 'a', to: 'c', shards: 1 },
    ],
  });
  t.strictSame(moveNotices(reverting, still), []);
});

t.test('what moves at once is told as such', async (t) => {
  const [notice] = moveNotices(still, planWith({ owners: [0, 0, 0, 2] }));
  t.match(notice, { shift: null, startsAt: AT, endsAt: AT, moves: [{ from: 'b', to: 'a', shards: 3 }] });
});
