// What a closed-loop generator is asked and what it answers; wrk if it is there, else autocannon.

import { packageVersion } from '../report/machine.ts';
import { runAutocannon } from './autocannon.ts';
import { runWrk, wrkVersion } from './wrk.ts';

export interface LoadRequest {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly method: 'GET' | 'POST';
  readonly bodyBytes: number;
  readonly keyHeader: string;
  /** Different keys, used in turn. */
  readonly keys: number;
}

export type LoadOutcome =
  | {
      readonly kind: 'done';
      /** Answered, whatever the status. */
      readonly requests: number;
      readonly seconds: number;
      readonly p50Micros: number;
      readonly p99Micros: number;
      /** Connections refused or broken, and timeouts. */
      readonly errors: number;
      /** Statuses outside 200..399 (wrk) or 200..299 (autocannon). */
      readonly badStatuses: number;
    }
  | { readonly kind: 'failed'; readonly why: string };

export interface LoadGenerator {
  readonly title: string;
  run(request: LoadRequest): Promise<LoadOutcome>;
}

/** `folder` holds wrk's script. */
export async function chooseGenerator(folder: string): Promise<LoadGenerator> {
  const version = await wrkVersion();
  if (version !== null) return { title: `wrk ${version}`, run: (request) => runWrk(request, folder) };
  const title = `autocannon ${packageVersion('node_modules/autocannon')} (no wrk: latencies in whole milliseconds)`;
  return { title, run: runAutocannon };
}
