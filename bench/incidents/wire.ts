// What the processes of the bench tell each other.

import type { Incident, ServerTracks } from './script.ts';

/** Carries the number of a request from the driver to whichever server it reaches. */
export const NUMBER_HEADER = 'x-request-number';
/** `region/server` of whoever answered. */
export const SERVED_BY_HEADER = 'x-served-by';
/** Carries the shard key. */
export const KEY_HEADER = 'x-user-id';

export interface ServerSetup {
  /** `region/server`, indices. */
  readonly name: string;
  readonly port: number;
  readonly seed: number;
  readonly tracks: ServerTracks;
}

export interface ServerResult {
  readonly name: string;
  /** Number of each request that reached it, and milliseconds since the start. */
  readonly received: readonly (readonly [number: number, atMs: number])[];
  readonly deaths: number;
  /** 99th percentile of its event loop's delay, milliseconds. */
  readonly loopDelayMs: number;
}

export interface DriverSetup {
  readonly url: string;
  readonly incident: Incident;
  readonly seed: number;
  /** On the monotonic clock that all processes of a machine share. */
  readonly startMs: number;
  /** Where the result is written; null = traffic before the script, which nobody accounts for. */
  readonly file: string | null;
}

/** A request as its client saw it. */
export interface SeenRequest {
  readonly number: number;
  readonly dueMs: number;
  readonly method: 'GET' | 'POST';
  readonly key: string;
  /** 0 = no answer. */
  readonly status: number;
  /** From the due time to the last byte, or to the failure. */
  readonly latencyMs: number;
  /** `region/server`; empty when no server answered. */
  readonly servedBy: string;
  /** Why there is no answer; empty when there is one. */
  readonly failure: string;
}

export interface DriverResult {
  readonly requests: readonly SeenRequest[];
  /** 99th percentile of how late the driver itself sent, milliseconds. */
  readonly lateMs: number;
}
