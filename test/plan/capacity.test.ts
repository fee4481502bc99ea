// Who carries what the others may not: what is given away fills room in proportion, and nobody past the target.

import t from 'tap';
import { type LoadedRegion, type ProjectionRules, projectCapacity } from '../../src/plan/capacity.ts';

const RULES: ProjectionRules = { demand: 180, targetUtilisation: 0.8, failoverOrder: ['a', 'b', 'c'] };

function region(id: string, parts: Partial<LoadedRegion> = {}): LoadedRegion {
  return { id, baseWeight: 1, weight: 1, isUnavailable: false, capacity: 100, ...parts };
}

const loadsOf = (regions: readonly LoadedRegion[], rules: Partial<ProjectionRules> = {}): number[] =>
  projectCapacity(regions, { ...RULES, ...rules }).map(({ load }) => Math.round(load * 10) / 10);

t.test(
  'a region above its target is relieved by those with room, though nobody predicted anything',
  async (t) => {
    const regions = [region('a', { capacity: 50 }), region('b'), region('c', { capacity: 200 })];
    t.strictSame(
      loadsOf(regions),
      [40, 63.3, 76.7],
      '20 and 100 requests/s of room take a sixth and five sixths',
    );
    t.strictSame(loadsOf(regions, { demand: 90 }), [30, 30, 30], 'below its target nothing moves');
  },
);

t.test('no survivor is filled to the brim while another is half empty', async (t) => {
  const regions = [region('a', { weight: 0 }), region('b'), region('c', { capacity: 200 })];
  const [, b, c] = loadsOf(regions);
  t.ok(b! <= 80 && c! <= 160);
  t.strictSame(loadsOf(regions), [0, 80, 100]);
  const even = [region('a', { weight: 0 }), region('b'), region('c')];
  t.strictSame(loadsOf(even, { demand: 150 }), [0, 75, 75]);
});

t.test('what fits nowhere stays where it is, and more than all can take falls on nobody alone', async (t) => {
  const weak = [region('a', { weight: 0.1 }), region('b'), region('c')];
  const projected = projectCapacity(weak, RULES);
  t.strictSame(loadsOf(weak), [20, 80, 80]);
  t.equal(projected[0]!.isHeldBack, true);
  t.strictSame(loadsOf([region('a'), region('b'), region('c')], { demand: 270 }), [90, 90, 90]);
});

t.test(
  'a small region is given back no more than it can carry, however large its ordinary share',
  async (t) => {
    const small = [region('a', { weight: 0.02, capacity: 60 }), region('b'), region('c')];
    const [a, b, c] = loadsOf(small, { demand: 240 });
    // 48 is its target; the 32 that fit nowhere fall on all in proportion to what they can take.
    t.ok(a! < 60, String(a));
    t.ok(b! < 100 && c! < 100, `${b} ${c}`);
  },
);

t.test('where a capacity is not known the best substitute takes it', async (t) => {
  const regions = [region('a', { weight: 0 }), region('b', { capacity: undefined }), region('c')];
  t.strictSame(loadsOf(regions), [0, 100, 80]);
});
