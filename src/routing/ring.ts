// The ring that orders regions for a shard; the only file that knows the package consistent-hash.
// The package's defaults are unusable here (random control points: two proxies would disagree), so the
// points are ours, from XXH64 of the region's name, and the ring is built anew, never changed: in the
// package, remove() followed by add() throws. Orders depend on the region ids alone; which region *owns*
// a shard is the table's affair (shard-table.ts).

import ConsistentHash from 'consistent-hash';
import { xxh64Text } from './hash.ts';

/** For every shard all regions, best first: `regions[shard * regionCount + rank]` = region index. */
export interface PreferenceOrders {
  readonly shardCount: number;
  readonly regionCount: number;
  readonly regions: Uint16Array;
}

// A prime just below 2^29: the package scales a key's 24-bit hash to 29 bits before taking the
// remainder, so a larger ring would have positions that no key reaches.
const RING_SIZE = 536_870_909;

// Evenness of first choices grows with the root of this number, building time with the number itself.
// The quotas of the table make ownership exact; 512 points keep first choices near even, so
// that few shards sit with their second choice.
const POINTS_PER_REGION = 512;

/**
 * Orders of `regionIds` (sorted, distinct) for every shard. About 50 ms for 50 regions x 4,096
 * shards: called off the request threads, once per region set.
 * @param buffer where to write; `shardCount * regionIds.length` 16-bit numbers.
 */
export function preferenceOrders(
  regionIds: readonly string[],
  shardCount: number,
  buffer: ArrayBufferLike = new ArrayBuffer(shardCount * regionIds.length * 2),
): PreferenceOrders {
  const ring = buildRing(regionIds);
  const regionCount = regionIds.length;
  const regions = new Uint16Array(buffer);
  for (let shard = 0; shard < shardCount; shard++) {
    const order = ring.get(ringKey(shard), regionCount) ?? [];
    regions.set(order, shard * regionCount);
  }
  return { shardCount, regionCount, regions };
}

function buildRing(regionIds: readonly string[]): ConsistentHash {
  const ring = new ConsistentHash({ range: RING_SIZE });
  const taken = new Set<number>();
  regionIds.forEach((id, index) => {
    const points: number[] = [];
    for (let i = 0; i < POINTS_PER_REGION; i++) {
      let point = xxh64Text(`${id}#${i}`).hi % RING_SIZE;
      // Two regions on one point: the package would let the later one shadow the earlier.
      while (taken.has(point)) point = (point + 1) % RING_SIZE;
      taken.add(point);
      points.push(point);
    }
    ring.add(index, POINTS_PER_REGION, points);
  });
  return ring;
}

/**
 * A name that the package's own hash maps to exactly the 24 bits we choose: it shifts by four bits a
 * character, so six characters with codes 0..15 pass through unchanged. Its hash of ordinary names is
 * too uneven to be used.
 */
function ringKey(shard: number): string {
  const bits = xxh64Text(`shard ${shard}`).hi >>> 8;
  return String.fromCharCode(
    bits >>> 20,
    (bits >>> 16) & 15,
    (bits >>> 12) & 15,
    (bits >>> 8) & 15,
    (bits >>> 4) & 15,
    bits & 15,
  );
}
