// Pulls the plan from a `foreshard pae` by long poll. One poll at a time; an engine that does not answer costs
// nothing but the news: the plan in force holds for its ttl.

import { setTimeout } from 'node:timers/promises';
import { readBytes, rootCause } from '../core/fetch-text.ts';
import { INTERVALS_PER_POLL, PLAN_AGE_FIELD } from '../plan/plan-exchange.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface PullerOptions {
  /** `http://host:port` of the engine. */
  readonly source: string;
  readonly token: string | undefined;
  /** Milliseconds between pulls when nothing changed: paeUpdateInterval. */
  readonly interval: number;
  readonly log: Logger;
  /** `incarnation.generation` of the plan in force from this source; undefined = none. */
  known(): string | undefined;
  onPlan(document: unknown, ageMs: number): void;
  onUnchanged(ageMs: number): void;
  onResult(result: 'ok' | 'unchanged' | 'failed'): void;
}

const ANSWER_MS = 5000;
// A plan of 50 regions and 32 tables of 4,096 shards has half a megabyte.
const MAX_BYTES = 16 * 1024 * 1024;
const LEAST_PAUSE_MS = 50;

export class PlanPuller {
  readonly #options: PullerOptions;
  readonly #abort = new AbortController();
  #lastFailure = '';

  constructor(options: PullerOptions) {
    this.#options = options;
    void this.#run();
  }

  close(): void {
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const { interval, log, onResult } = this.#options;
    while (!this.#abort.signal.aborted) {
      const problem = await this.#pull();
      if (this.#abort.signal.aborted) return;
      if (problem !== undefined) onResult('failed');
      // Once per new reason: an engine that is away for a day is one line.
      if (problem !== undefined && problem !== this.#lastFailure) {
        log.warn({ problem }, 'the plan could not be pulled from pae.source, the one in force holds');
      }
      this.#lastFailure = problem ?? '';
      const ms = problem === undefined ? LEAST_PAUSE_MS : Math.max(LEAST_PAUSE_MS, interval);
      await setTimeout(ms, undefined, { signal: this.#abort.signal }).catch(() => undefined);
    }
  }

  /** @returns why nothing came, undefined when the engine has answered. */
  async #pull(): Promise<string | undefined> {
    const { source, token, interval, known, onPlan, onUnchanged, onResult } = this.#options;
    const waitMs = INTERVALS_PER_POLL * interval;
    const url = new URL('/plan', source);
    const after = known();
    if (after !== undefined) {
      url.searchParams.set('after', after);
      url.searchParams.set('wait', `${waitMs}ms`);
    }
    try {
      const response = await fetch(url, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(waitMs + ANSWER_MS)]),
        redirect: 'error',
      });
      const ageMs = Number(response.headers.get(PLAN_AGE_FIELD) ?? Number.NaN) * 1000;
      if (response.status === 304) {
        await response.body?.cancel();
        if (Number.isFinite(ageMs)) onUnchanged(ageMs);
        onResult('unchanged');
        return undefined;
      }
      if (response.status !== 200) {
        await response.body?.cancel();
        return `status ${response.status}`;
      }
      const document: unknown = JSON.parse(await boundedText(response));
      onPlan(document, Number.isFinite(ageMs) ? ageMs : evaluationAge(document));
      onResult('ok');
      return undefined;
    } catch (error) {
      return rootCause(error);
    }
  }
}

async function boundedText(response: Response): Promise<string> {
  const bytes = await readBytes(response, MAX_BYTES);
  if (bytes === undefined) throw new Error(`the plan must be at most ${MAX_BYTES} bytes`);
  return bytes.toString('utf8');
}

/** By the plan's own stamps, both of the engine's clock. */
function evaluationAge(document: unknown): number {
  const { now, evaluatedAt } = document as { now?: unknown; evaluatedAt?: unknown };
  const age = Date.parse(String(now)) - Date.parse(String(evaluatedAt));
  return Number.isFinite(age) ? age : 0;
}
