// The part of autocannon that is used here; the package declares no types of its own.

declare module 'autocannon' {
  export interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    /** Seconds. */
    readonly timeout: number;
    readonly requests: readonly Readonly<Record<string, unknown>>[];
  }

  export interface Result {
    /** Seconds. */
    readonly duration: number;
    /** Timeouts are in it. */
    readonly errors: number;
    readonly '2xx': number;
    readonly non2xx: number;
    /** Whole milliseconds. */
    readonly latency: { readonly p50: number; readonly p99: number };
  }

  export default function autocannon(options: Options): Promise<Result>;
}
