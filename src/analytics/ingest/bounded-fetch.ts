// GET of a page from a peer that may hang, lie about its length or never stop: one time limit over all of it
// and a limit of bytes, counted as they arrive. Used by the scraper, PromQL and the feeds.

import { readBytes, rootCause } from '../../core/fetch-text.ts';

export type FetchEnd =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: FetchFailure; readonly detail: string };

export type FetchFailure = 'timeout' | 'too_large' | 'status' | 'unreachable' | 'not_text';

export interface FetchLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the request early: the engine is shutting down. */
  readonly signal?: AbortSignal;
}

export type Fetcher = (url: string, limits: FetchLimits) => Promise<FetchEnd>;

export const fetchBounded: Fetcher = async (url, { timeoutMs, maxBytes, headers = {}, signal }) => {
  const timer = AbortSignal.timeout(timeoutMs);
  const stop = signal === undefined ? timer : AbortSignal.any([timer, signal]);
  try {
    // A redirect could lead anywhere, also to where the operator did not want us to ask.
    const response = await fetch(url, { signal: stop, headers: { ...headers }, redirect: 'error' });
    if (!response.ok) {
      await response.body?.cancel();
      return { ok: false, reason: 'status', detail: `status ${response.status}` };
    }
    return await readBody(response, maxBytes);
  } catch (error) {
    if (timer.aborted) return { ok: false, reason: 'timeout', detail: `no whole answer in ${timeoutMs} ms` };
    return { ok: false, reason: 'unreachable', detail: rootCause(error) };
  }
};

async function readBody(response: Response, maxBytes: number): Promise<FetchEnd> {
  const bytes = await readBytes(response, maxBytes);
  if (bytes === undefined) return { ok: false, reason: 'too_large', detail: `more than ${maxBytes} bytes` };
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { ok: false, reason: 'not_text', detail: 'not UTF-8 text' };
  }
}
