// What takes part in an incident. Each gets servers of its own that play the same script, and the same traffic.

import type { Clock } from '../../../src/core/clock.ts';
import type { Presence } from '../../load/proxies/definition.ts';

export interface ContestantServer {
  readonly port: number;
}

export interface ContestantRegion {
  readonly id: string;
  /** Requests/s that it takes while calm, as its operator would have measured it. */
  readonly capacity: number;
  readonly servers: readonly ContestantServer[];
}

export interface ContestantSetup {
  readonly regions: readonly ContestantRegion[];
  /** Free on 127.0.0.1, for clients. */
  readonly port: number;
  /** A second one, for a proxy with an API of its own. */
  readonly controlPort: number;
  /** Absolute path of an empty folder of its own. */
  readonly folder: string;
  /** Wall milliseconds at which the script begins. */
  readonly beginsAt: number;
  /** What is announced: seconds from the beginning; null = nothing. */
  readonly maintenance: { readonly region: string; readonly second: number } | null;
  readonly clock: Clock;
}

/** Share of the keys that each region is given, by region id. */
export type Shares = Readonly<Record<string, number>>;

export interface RunningContestant {
  /** For clients. */
  readonly url: string;
  /** Where the history of a new installation is posted; null for a contestant that learns nothing. */
  readonly telemetryUrl: string | null;
  /** Null where the contestant cannot say. Never throws. */
  shares(): Promise<Shares | null>;
  /** Called once when an announced maintenance begins. */
  onMaintenance(region: string): Promise<void>;
  /** CPU microseconds of its processes so far. */
  cpuMicros(): number;
  /** Last lines it wrote, for the message when it ended by itself; undefined while it runs. */
  endedWith(): string | undefined;
  stop(): Promise<void>;
}

export type ContestantStart =
  | { readonly kind: 'started'; readonly contestant: RunningContestant }
  | { readonly kind: 'failed'; readonly why: string };

export interface Contestant {
  /** As given to --contestants. */
  readonly id: string;
  /** Incidents that it takes part in; undefined = all. */
  readonly only?: readonly string[];
  presence(): Promise<Presence>;
  start(setup: ContestantSetup): Promise<ContestantStart>;
}

/** Answers later than this are bad for users, so every proxy gives up on a server then. */
export const RESPONSE_TIMEOUT_MS = 500;
export const CONNECT_TIMEOUT_MS = 250;
