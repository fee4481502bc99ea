// One HTTP check of one server: GET on its health path, 200..299 within the time limit is a pass. A
// connection of its own each time: what is tested is whether a new client could be served.

import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { systemClock } from '../core/clock.ts';

export interface ProbeTarget {
  /** `http://host:port` */
  readonly origin: string;
  readonly path: string;
  readonly timeoutMs: number;
}

export interface ProbeResult {
  readonly passed: boolean;
  /** A status, or why there was none. */
  readonly detail: string;
  /** No answer within the limit, and no word that there will be none. */
  readonly isLate?: boolean;
  /** Milliseconds from the connection attempt to the end of the answer. */
  readonly tookMs: number;
}

export type Prober = (target: ProbeTarget) => Promise<ProbeResult>;

// A health page is small; a server that sends more is not read further.
const MAX_BODY_BYTES = 65_536;

/** Never rejects. */
export const probeOverHttp: Prober = ({ origin, path, timeoutMs }) =>
  new Promise((resolve) => {
    const request = (origin.startsWith('https:') ? requestHttps : requestHttp)(origin + path, {
      agent: false,
      headers: { 'user-agent': 'foreshard-health', connection: 'close' },
    });
    const startedAt = systemClock.monotonicMs();
    const finish = (passed: boolean, detail: string, isLate = false): void => {
      clearTimeout(timer);
      resolve({ passed, detail, isLate, tookMs: systemClock.monotonicMs() - startedAt });
      request.destroy();
    };
    const timer = setTimeout(() => finish(false, `no answer within ${timeoutMs} ms`, true), timeoutMs);
    request.on('error', (error: NodeJS.ErrnoException) => finish(false, error.code ?? error.message));
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      const verdict = (): void => finish(status >= 200 && status <= 299, `status ${status}`);
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BODY_BYTES) verdict();
      });
      response.on('end', verdict);
      response.on('error', (error) => finish(false, error.message));
    });
    request.end();
  });
