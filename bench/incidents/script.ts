// What an incident is: how servers and demand behave over its seconds, as data. The scripted servers play it in real
// time, the simulator in virtual time; no contestant ever sees it. Pure.

/** Points [second, value], seconds rising; before the first and after the last point the value stands. */
export type Track = readonly (readonly [second: number, value: number])[];

/** Linear between the points. */
export function valueAt(track: Track, second: number): number {
  let [lastSecond, lastValue] = track[0]!;
  if (second <= lastSecond) return lastValue;
  for (const [nextSecond, nextValue] of track) {
    if (second < nextSecond) {
      const share = (second - lastSecond) / (nextSecond - lastSecond);
      return lastValue + (nextValue - lastValue) * share;
    }
    [lastSecond, lastValue] = [nextSecond, nextValue];
  }
  return lastValue;
}

/** The value of the last point that is not after `second`; for what is on or off. */
export function stepAt(track: Track, second: number): number {
  let value = track[0]![1];
  for (const [at, next] of track) if (at <= second) value = next;
  return value;
}

export interface ServerTracks {
  /** Factor on the service time. */
  readonly latency: Track;
  /** Share of its slots that work. */
  readonly slots: Track;
  /** Share of answers that are a 500. */
  readonly errors: Track;
  /** 0..1, shown as a metric; by itself it changes nothing. */
  readonly memory: Track;
  /** 0..1, likewise. */
  readonly diskIo: Track;
  /** Milliseconds in which nothing moves, once in PAUSE_EVERY_SECONDS. */
  readonly pauseMs: Track;
  /** By steps: 1 = up, 0 = its port is closed and its connections are reset. */
  readonly up: Track;
}

export const PAUSE_EVERY_SECONDS = 2;

export const CALM_SERVER: ServerTracks = {
  latency: [[0, 1]],
  slots: [[0, 1]],
  errors: [[0, 0]],
  memory: [[0, 0.45]],
  diskIo: [[0, 0.2]],
  pauseMs: [[0, 0]],
  up: [[0, 1]],
};

export const REGIONS = ['alpha', 'beta', 'gamma'] as const;
export const SERVERS_PER_REGION = 2;

export interface Incident {
  /** Letter of issue 5: a to k. */
  readonly id: string;
  readonly title: string;
  readonly seconds: number;
  /** Index of the region that fails; null where none does, or none that the script could name. */
  readonly failing: number | null;
  /** When the region fails as a whole or first drowns; null without a failure. */
  readonly failsAt: number | null;
  /** Requests/s over those that all regions could take while calm. */
  readonly demand: Track;
  /** Share of requests whose key is one of the hot keys. */
  readonly hotShare: Track;
  /** What differs from a calm server; region and server are indices. */
  readonly servers: readonly {
    readonly region: number;
    readonly server: number;
    readonly tracks: Partial<ServerTracks>;
  }[];
  /** Second at which an announced maintenance begins; null = none is announced. */
  readonly maintenanceAt: number | null;
  /** Another day than that of the incidents: its length, and how far demand swings around its mean. */
  readonly day?: Day;
}

interface Day {
  readonly seconds: number;
  readonly swing: number;
}

export function tracksOf(incident: Incident, region: number, server: number): ServerTracks {
  const own = incident.servers.filter((part) => part.region === region && part.server === server);
  return Object.assign({}, CALM_SERVER, ...own.map(({ tracks }) => tracks)) as ServerTracks;
}

/** Requests that a calm server works on at once, and the mean time of one: 53 requests/s. */
export const SLOTS = 8;
export const SERVICE_MS = 150;

/** Requests/s that a server can take at a moment: working slots over the mean service time. */
export function serverCapacity(tracks: ServerTracks, second: number): number {
  if (stepAt(tracks.up, second) === 0) return 0;
  const paused = Math.min(1, valueAt(tracks.pauseMs, second) / 1000 / PAUSE_EVERY_SECONDS);
  const perSlot = 1000 / (SERVICE_MS * valueAt(tracks.latency, second));
  return SLOTS * valueAt(tracks.slots, second) * perSlot * (1 - paused);
}

/** Requests/s of a region, both servers together. */
export function regionCapacity(incident: Incident, region: number, second: number): number {
  let sum = 0;
  for (let server = 0; server < SERVERS_PER_REGION; server++) {
    sum += serverCapacity(tracksOf(incident, region, server), second);
  }
  return sum;
}

/** Requests/s of all regions while all is calm; the unit of `demand`. */
export const CALM_CAPACITY = (REGIONS.length * SERVERS_PER_REGION * SLOTS * 1000) / SERVICE_MS;

/** A day of the bench: real days are of no use to an incident of a minute. */
export const DAY_SECONDS = 300;
const INCIDENT_DAY: Day = { seconds: DAY_SECONDS, swing: 0.05 };

/** The daily pattern of demand, around 1; runs on through history (negative seconds) and incident. */
export function dailyFactor(second: number, { seconds, swing }: Day = INCIDENT_DAY): number {
  return 1 + swing * Math.sin((2 * Math.PI * second) / seconds);
}

/** Requests/s of an incident. */
export function demandAt(incident: Incident, second: number): number {
  return CALM_CAPACITY * valueAt(incident.demand, second) * dailyFactor(second, incident.day);
}

/** Seconds in which a proxy that has just started is brought into traffic: all at once would be an incident of its own. */
const RISE_SECONDS = 6;

/** Traffic as it is before the incident's script begins. */
export function trafficBefore({ demand, ...incident }: Incident, seconds: number): Incident {
  const level = valueAt(demand, 0);
  const rise: Track = [
    [0, level / 20],
    [RISE_SECONDS, level],
  ];
  return { ...incident, seconds, demand: rise, hotShare: [[0, 0]] };
}

/** The same incident after `seconds` of calm; for the simulator, whose engine then has live rows of everything. */
export function delayed(incident: Incident, seconds: number): Incident {
  const shift = (track: Track): Track => track.map(([at, value]) => [at + seconds, value] as const);
  const later = (second: number | null): number | null => (second === null ? null : second + seconds);
  return {
    ...incident,
    seconds: incident.seconds + seconds,
    failsAt: later(incident.failsAt),
    maintenanceAt: later(incident.maintenanceAt),
    demand: shift(incident.demand),
    hotShare: shift(incident.hotShare),
    servers: incident.servers.map((part) => ({
      ...part,
      tracks: Object.fromEntries(
        Object.entries(part.tracks).map(([name, track]) => [name, shift(track)]),
      ) as Partial<ServerTracks>,
    })),
  };
}
