// The eleven incidents of issue 5. Each is a function of a shape: set 1 takes the shapes written here, set 2 draws others
// from a seed when it is run, so that nothing could have been tuned to it. Pure.

import { type Random, seededRandom } from '../../src/core/random.ts';
import { type Incident, REGIONS, SERVERS_PER_REGION, type ServerTracks, type Track } from './script.ts';

export interface Shape {
  /** Index of the region that the incident hits. */
  readonly region: number;
  /** Second at which it begins. */
  readonly onset: number;
  /** Seconds from the first sign to the failure. */
  readonly ramp: number;
  /** 1 = a straight ramp; above, slow first and fast at the end. */
  readonly bend: number;
  /** Factor on how bad it gets. */
  readonly depth: number;
}

const SET_ONE: Omit<Shape, 'region'> = { onset: 24, ramp: 30, bend: 1, depth: 1 };

/** About 60 % of what all can take, before the daily pattern. */
const BASE_DEMAND = 0.56;
/** Seconds that a region stays failed before the run ends: what reaction costs shows in them. */
const AFTERMATH = 22;
const BEND_POINTS = 8;

type Recipe = (shape: Shape) => Omit<Incident, 'id'>;

/** From `from` at the onset to `to` after the ramp, along the bend. */
function ramp({ onset, ramp: length, bend }: Shape, from: number, to: number): Track {
  const points: [number, number][] = [];
  for (let i = 0; i <= BEND_POINTS; i++) {
    const share = i / BEND_POINTS;
    points.push([onset + length * share, from + (to - from) * share ** bend]);
  }
  return points;
}

function whole(region: number, tracks: Partial<ServerTracks>): Incident['servers'] {
  return Array.from({ length: SERVERS_PER_REGION }, (_, server) => ({ region, server, tracks }));
}

const calm = { failing: null, failsAt: null, hotShare: [[0, 0]], servers: [], maintenanceAt: null } as const;
const level: Track = [[0, BASE_DEMAND]];

const RECIPES: Readonly<Record<string, Recipe>> = {
  a: (shape) => {
    const dies = shape.onset + shape.ramp;
    const half = shape.onset + shape.ramp * 0.55;
    return {
      ...calm,
      title: 'memory leak, growing pauses, crash',
      seconds: dies + AFTERMATH,
      failing: shape.region,
      failsAt: dies,
      demand: level,
      servers: whole(shape.region, {
        memory: ramp(shape, 0.45, 0.99),
        pauseMs: [
          [half, 0],
          [dies, 900 * shape.depth],
        ],
        up: off(dies),
      }),
    };
  },
  b: (shape) => {
    // Two thirds of a region's slots and an equal share of the keys: it is full while the others are not.
    const smaller = 0.66;
    const peak = 0.84 * (0.95 + 0.05 * shape.depth);
    return {
      ...calm,
      title: "demand rises beyond one region's capacity",
      seconds: shape.onset + shape.ramp + AFTERMATH,
      failing: shape.region,
      failsAt: secondAt(shape, 0.5, peak, smaller),
      demand: ramp(shape, 0.5, peak),
      servers: whole(shape.region, { slots: [[0, smaller]] }),
    };
  },
  c: (shape) => {
    // Latency takes capacity too: at this factor as much comes as leaves, and from there on it is time-outs.
    const full = 1 / BASE_DEMAND;
    const fails = shape.onset + shape.ramp;
    return {
      ...calm,
      title: 'slow disk, latency creeps to time-outs',
      seconds: fails + AFTERMATH,
      failing: shape.region,
      failsAt: fails,
      demand: level,
      servers: whole(shape.region, {
        latency: [...ramp(shape, 1, full), [fails + AFTERMATH / 2, 6 * shape.depth]],
        diskIo: ramp(shape, 0.2, 1),
      }),
    };
  },
  d: (shape) => ({
    ...calm,
    title: 'error rate creeps from 0 to 30 %',
    seconds: shape.onset + shape.ramp + AFTERMATH,
    failing: shape.region,
    failsAt: shape.onset + shape.ramp,
    demand: level,
    servers: whole(shape.region, { errors: ramp(shape, 0, 0.3 * shape.depth) }),
  }),
  e: (shape) => {
    const begins = shape.onset + shape.ramp;
    return {
      ...calm,
      title: 'announced maintenance, off at its time',
      seconds: begins + AFTERMATH,
      failing: shape.region,
      failsAt: begins,
      demand: level,
      servers: whole(shape.region, { up: off(begins) }),
      maintenanceAt: begins,
    };
  },
  f: (shape) => {
    // Slots go one after another, first of one server, then of the other.
    const middle = shape.onset + shape.ramp * 0.5;
    const end = shape.onset + shape.ramp;
    return {
      ...calm,
      title: 'capacity lost server by server',
      seconds: end + AFTERMATH,
      failing: shape.region,
      failsAt: end,
      demand: level,
      servers: [
        { region: shape.region, server: 0, tracks: losing(shape.onset, middle) },
        { region: shape.region, server: 1, tracks: losing(middle, end) },
      ],
    };
  },
  g: (shape) => ({
    ...calm,
    title: 'crash without warning',
    seconds: shape.onset + shape.ramp + AFTERMATH,
    failing: shape.region,
    failsAt: shape.onset + shape.ramp,
    demand: level,
    servers: whole(shape.region, { up: off(shape.onset + shape.ramp) }),
  }),
  h: (shape) => {
    const top = BASE_DEMAND * (1 + 0.28 * Math.min(1.1, shape.depth));
    return {
      ...calm,
      title: 'harmless peak',
      seconds: shape.onset + shape.ramp + AFTERMATH,
      demand: [
        [shape.onset, BASE_DEMAND],
        [shape.onset + shape.ramp * 0.4, top],
        [shape.onset + shape.ramp * 0.8, top],
        [shape.onset + shape.ramp * 1.2, BASE_DEMAND],
      ],
    };
  },
  i: (shape) => ({
    ...calm,
    title: 'flapping: a region down for 2 s, again and again',
    seconds: shape.onset + shape.ramp + AFTERMATH,
    failing: shape.region,
    failsAt: shape.onset,
    demand: level,
    servers: whole(shape.region, { up: flapping(shape) }),
  }),
  j: (shape) => ({
    ...calm,
    title: 'flash crowd on one key range',
    seconds: shape.onset + shape.ramp + AFTERMATH,
    demand: ramp({ ...shape, ramp: shape.ramp * 0.4 }, BASE_DEMAND, BASE_DEMAND * 1.3),
    hotShare: ramp({ ...shape, ramp: shape.ramp * 0.4 }, 0, 0.3 * Math.min(1.15, shape.depth)),
  }),
  k: (shape) => {
    const end = shape.onset + shape.ramp;
    return {
      ...calm,
      title: 'one of two servers lost while survivors have little headroom',
      seconds: end + AFTERMATH,
      failing: shape.region,
      failsAt: end,
      demand: [[0, 0.72]],
      servers: [{ region: shape.region, server: 0, tracks: losing(shape.onset, end) }],
    };
  },
};

export const INCIDENT_IDS: readonly string[] = Object.keys(RECIPES);

/** Second at which a ramp from `from` to `to` passes `level`; its end when it does not. */
function secondAt(shape: Shape, from: number, to: number, level: number): number {
  const share = Math.min(1, Math.max(0, (level - from) / (to - from))) ** (1 / shape.bend);
  return shape.onset + shape.ramp * share;
}

function off(second: number): Track {
  return [
    [0, 1],
    [second, 0],
  ];
}

/** All slots are gone at `until`, and the server with them. */
function losing(from: number, until: number): Partial<ServerTracks> {
  return {
    slots: [
      [from, 1],
      [until, 0.1],
    ],
    up: off(until),
  };
}

function flapping({ onset, ramp: length, depth }: Shape): Track {
  const points: [number, number][] = [[0, 1]];
  const every = 6 / depth;
  for (let at = onset; at < onset + length; at += every) points.push([at, 0], [at + 2, 1]);
  return points;
}

/** Set 1: the shapes of this file; the seed chooses the region alone. */
export function firstSet(id: string, seed: number): Incident {
  return build(id, { ...SET_ONE, region: seed % REGIONS.length });
}

/** Set 2: another shape for each seed. */
export function secondSet(id: string, random: Random): Incident {
  const between = (low: number, high: number): number => low + (high - low) * random.next();
  return build(id, {
    region: Math.floor(random.next() * REGIONS.length),
    onset: between(20, 28),
    ramp: between(20, 38),
    bend: between(0.7, 1.8),
    depth: between(0.85, 1.25),
  });
}

/** Of a set and a seed. In set 2 every incident draws a shape of its own. */
export function incidentOf(id: string, set: 1 | 2, seed: number): Incident {
  if (set === 1) return firstSet(id, seed);
  return secondSet(id, seededRandom(seed * INCIDENT_IDS.length + INCIDENT_IDS.indexOf(id) + 100_003));
}

function build(id: string, shape: Shape): Incident {
  const recipe = RECIPES[id];
  if (recipe === undefined) throw new Error(`there is no incident ${id}`);
  return { id, ...recipe(shape) };
}
