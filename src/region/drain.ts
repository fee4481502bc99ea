// Planned removal of a server or of a whole region: announced, acknowledged, empty or out of time. Planned
// events are a thousand times as frequent as failures, so this is the main case. Pure: state and time in,
// state out; the manager carries out what it says.

export interface DrainState {
  /** Monotonic milliseconds. */
  readonly since: number;
  /** When what still runs is given up on. */
  readonly deadline: number;
  /** Epoch of the report that announces it. */
  readonly epoch: number;
  readonly isDone: boolean;
}

export function beginDrain(now: number, deadlineMs: number, epoch: number): DrainState {
  return { since: now, deadline: now + deadlineMs, epoch, isDone: false };
}

/**
 * A drain that is ordered again: it may end sooner than was said, never later.
 * @param deadlineMs undefined = as was said.
 */
export function hastenDrain(drain: DrainState, now: number, deadlineMs: number | undefined): DrainState {
  const deadline = deadlineMs === undefined ? drain.deadline : Math.min(drain.deadline, now + deadlineMs);
  return { ...drain, deadline };
}

// A request that was decided just before the drain may not have been counted in flight yet. Shorter, and a
// server could be ended under it; longer only makes drains longer.
export const LEAST_DRAIN_MS = 250;

/** Done when nothing runs any more, and nothing is on its way, or the time is up. */
export function settleDrain(drain: DrainState, inFlight: number, now: number): DrainState {
  if (drain.isDone) return drain;
  const isEmpty = inFlight === 0 && now >= drain.since + LEAST_DRAIN_MS;
  return isEmpty || now >= drain.deadline ? { ...drain, isDone: true } : drain;
}

/** What a veto looks at. */
export interface Drainable {
  readonly id: string;
  readonly weight: number;
  /** Requests/s; undefined = not told. */
  readonly capacity: number | undefined;
  /** As far as is known. */
  readonly canServe: boolean;
  /** It was seen to serve. */
  readonly isHealthy: boolean;
  readonly isDraining: boolean;
}

/**
 * Why a server may not drain now, if it may not: too much of the region would be gone at once, or all of it.
 * @param maxDraining share of the region's capacity, 0..1; one server may drain always, but never the last.
 */
export function drainVeto(
  servers: readonly Drainable[],
  id: string,
  maxDraining: number,
): string | undefined {
  const wanted = servers.find((server) => server.id === id);
  if (wanted === undefined || wanted.isDraining) return undefined;
  // For a healthy one only another healthy one can stand in: a new server may never come to life.
  const others = servers.filter(
    (server) =>
      server.id !== id && !server.isDraining && (wanted.isHealthy ? server.isHealthy : server.canServe),
  );
  if (others.length === 0) return 'it is the last server that can serve';
  const draining = servers.filter((server) => server.isDraining);
  if (draining.length === 0) return undefined;
  const isTold = servers.every(({ capacity }) => capacity !== undefined);
  const sizeOf = ({ capacity, weight }: Drainable): number => (isTold ? capacity! : weight);
  const total = servers.reduce((sum, server) => sum + sizeOf(server), 0);
  const gone = draining.reduce((sum, server) => sum + sizeOf(server), sizeOf(wanted));
  if (gone <= total * maxDraining) return undefined;
  const share = Math.round((gone / total) * 100);
  return `${share} % of the region would drain at once, at most ${Math.round(maxDraining * 100)} % may (${draining.map((server) => server.id).join(', ')})`;
}

/** Proxies that have to hear of a drain before requests are refused. */
export class Acknowledgements {
  readonly #proxies = new Map<string, { epoch: number; at: number }>();

  /** A proxy has applied the report of `epoch`. */
  acknowledge(proxy: string, epoch: number, now: number): void {
    this.#proxies.delete(proxy);
    this.#proxies.set(proxy, { epoch, at: now });
    if (this.#proxies.size <= MAX_PROXIES) return;
    const [oldest] = this.#proxies.keys();
    this.#proxies.delete(oldest!);
  }

  /** Proxies that were heard of since `since` and have not applied `epoch` yet. */
  waitingFor(epoch: number, since: number): string[] {
    return [...this.#proxies].flatMap(([id, seen]) => (seen.at >= since && seen.epoch < epoch ? [id] : []));
  }

  /** Proxies that were heard of since `since`. */
  count(since: number): number {
    return [...this.#proxies.values()].filter((seen) => seen.at >= since).length;
  }
}

// More than poll any one region.
const MAX_PROXIES = 1000;
