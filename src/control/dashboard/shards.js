// @ts-check
// The shard map as numbers: where a cell lies, who owns it, what is on the move and how far. No canvas here.

/** Owner of a shard that nobody owns. */
const NOBODY = 65_535;

// Apart from one another in both themes, and for most who see colours differently.
const FIRST_COLOURS = [
  '#3b82f6',
  '#f59e0b',
  '#10b981',
  '#a855f7',
  '#ef4444',
  '#06b6d4',
  '#84cc16',
  '#ec4899',
];
// Turns the hue so that neighbours in a list are far apart on the wheel.
const GOLDEN_ANGLE = 137.508;
const LIGHTNESSES = [58, 44, 70];

/** @param {number} index position among the regions */
export function colourOf(index) {
  const known = FIRST_COLOURS[index];
  if (known !== undefined) return known;
  const lightness = LIGHTNESSES[index % LIGHTNESSES.length];
  return `hsl(${Math.round((index * GOLDEN_ANGLE) % 360)} 62% ${lightness}%)`;
}

/** Columns of the map: as near to a square as powers of two come. @param {number} shards */
export function columnsOf(shards) {
  return 2 ** Math.ceil(Math.log2(Math.max(1, shards)) / 2);
}

/**
 * @typedef {{ id: string, owners: number[], owned: Record<string, number>, critical?: boolean,
 *   regions?: string[], shift?: { id: string, moving: [number, number][], progress: [string, number][] } }} ShardTable
 */

/** Previous owner of every shard that is on the move. @param {ShardTable} table @returns {Map<number, number>} */
export function movingOf(table) {
  return new Map(table.shift?.moving ?? []);
}

/**
 * Share of the keys that are on the new owner: linear between the published points.
 * @param {[string, number][]} points @param {number} now wall milliseconds of the proxy
 */
export function progressAt(points, now) {
  const times = points.map(([at, value]) => /** @type {const} */ ([Date.parse(at), value]));
  const next = times.findIndex(([at]) => at > now);
  if (next === -1) return times.at(-1)?.[1] ?? 1;
  if (next === 0) return times[0]?.[1] ?? 0;
  const [[from, low], [to, high]] = /** @type {[[number, number], [number, number]]} */ (
    /** @type {unknown} */ ([times[next - 1], times[next]])
  );
  return low + ((high - low) * (now - from)) / (to - from);
}

/** What a cell says. @param {ShardTable} table @param {readonly string[]} regions @param {number} shard */
export function shardWords(table, regions, shard) {
  const owner = table.owners[shard];
  const name = owner === undefined || owner === NOBODY ? 'nobody' : regions[owner];
  const before = movingOf(table).get(shard);
  const moving = before === undefined ? '' : `, moving from ${regions[before] ?? 'nobody'}`;
  return `Shard ${shard}: owned by ${name}${moving}`;
}

/** The cell that an arrow key leads to; undefined for another key. @param {string} key @param {number} shard @param {number} shards */
export function stepTo(key, shard, shards) {
  const columns = columnsOf(shards);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (key === 'Home') return 0;
  if (key === 'End') return shards - 1;
  const step = steps[/** @type {keyof typeof steps} */ (key)];
  if (step === undefined) return undefined;
  const next = shard + step;
  return next < 0 || next >= shards ? shard : next;
}
