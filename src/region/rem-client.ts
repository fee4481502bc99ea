// The proxy's ear at one manager: polls its report, long, so that a change is heard at once, and says what is
// to be believed. A manager that is silent loses its word: then its servers count by what the proxy sees
// itself through the data path. One per region with a manager, on the main thread.

import type { Clock } from '../core/clock.ts';
import { readBytes } from '../core/fetch-text.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import { isNewer, MAX_REPORT_BYTES, type RegionReport, readReport } from './report.ts';

export interface RemClientOptions {
  readonly region: string;
  /** `http://host:port` of the manager's API. */
  readonly url: string;
  readonly token: string | undefined;
  /** Milliseconds: how long a poll waits for a change, and how soon a failed one is repeated. */
  readonly interval: number;
  /** Milliseconds for the answer, beyond the wait. */
  readonly timeout: number;
  /** Name of this proxy in acknowledgements. */
  readonly proxy: string;
  /** Addresses that clients of this proxy use: a server that registers one of them would be a loop. */
  readonly addresses: () => readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  readonly fetch: typeof fetch;
  /**
   * A report to act upon, or undefined: the manager has lost its word.
   * @returns false when the report was refused: then it is not acknowledged.
   */
  onReport(report: RegionReport | undefined): boolean;
  /** The report that is in force, with what was measured since. */
  onMeasured(report: RegionReport): void;
}

// One lost poll is noise; a second one in a row is silence.
const FAILURES_TO_SILENCE = 2;
// Between two questions, whatever is answered: a manager that answers every poll at once must not keep us busy.
const LEAST_BETWEEN_MS = 50;
// News is told at once; what is merely measured (load, telemetry) is asked for this often.
const MEASURED_MS = 5000;
// Answers in a row of one other life of the manager that looks older than the one known. Its clock was set
// back: when the life that we know is never heard any more, it is gone.
const ANSWERS_TO_NEW_LIFE = 5;

export class RemClient {
  readonly #options: RemClientOptions;
  readonly #stop = new AbortController();
  /** Last that was heard, taken or not: the next poll asks for what comes after it. */
  #report: RegionReport | undefined;
  /** Epoch of the last report that was acted upon. */
  #applied: number | undefined;
  #stranger = { incarnation: '', answers: 0 };
  #failures = 0;
  #isSilent = false;
  /** When a whole report came last, monotonic milliseconds. */
  #readAt = Number.NEGATIVE_INFINITY;
  #heardAt: number;
  /** Milliseconds from the last question to the beginning of its answer. */
  #waitedMs = 0;

  constructor(options: RemClientOptions) {
    this.#options = options;
    this.#heardAt = options.clock.monotonicMs();
  }

  /** Last report; undefined before the first. */
  get report(): RegionReport | undefined {
    return this.#report;
  }

  /** Milliseconds since the manager was last heard of. */
  get silenceMs(): number {
    return this.#options.clock.monotonicMs() - this.#heardAt;
  }

  /** Polls until `close`. Never rejects. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const problem = await this.#poll();
      if (this.#stop.signal.aborted) return;
      if (problem === undefined) {
        this.#heard();
        await this.#pause(pauseAfter(this.#waitedMs));
      } else {
        this.#failed(problem);
        await this.#pause(Math.max(LEAST_BETWEEN_MS, this.#options.interval / 4));
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }

  /** @returns why nothing was heard, undefined when something was. */
  async #poll(): Promise<string | undefined> {
    const { interval, timeout, url, token, region } = this.#options;
    // The first poll asks for what there is; later ones wait for what comes.
    const askedAt = this.#options.clock.monotonicMs();
    const isWhole = this.#report === undefined || this.#isSilent || askedAt - this.#readAt >= MEASURED_MS;
    const wait = isWhole ? 0 : interval;
    try {
      const answer = await this.#options.fetch(this.#address(url, wait), {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        redirect: 'error',
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(wait + timeout)]),
      });
      this.#waitedMs = this.#options.clock.monotonicMs() - askedAt;
      if (answer.status === 304) {
        await answer.body?.cancel();
        return undefined;
      }
      const text = await readBounded(answer);
      if (answer.status !== 200) return `status ${answer.status}`;
      const reading = readReport(text, region);
      return reading.ok ? this.#take(reading.report) : reading.problem;
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      return cause?.code ?? (error as Error).message;
    }
  }

  #address(url: string, wait: number): URL {
    const address = new URL('/report', url);
    const { proxy, addresses } = this.#options;
    address.searchParams.set('proxy', proxy);
    if (this.#applied !== undefined) address.searchParams.set('ack', String(this.#applied));
    if (this.#report !== undefined) {
      if (wait > 0) {
        address.searchParams.set('after', String(this.#report.epoch));
        address.searchParams.set('wait', `${wait}ms`);
      }
    }
    address.searchParams.set('addresses', addresses().join(','));
    return address;
  }

  /** @returns why the report contradicts what is known, undefined when it does not. */
  #take(report: RegionReport): string | undefined {
    const known = this.#report;
    this.#readAt = this.#options.clock.monotonicMs();
    if (!isNewer(report, known)) {
      if (report.incarnation !== known!.incarnation) {
        if (!this.#isNewLife(report)) return `incarnation goes back to ${report.incarnation}`;
      } else if (report.epoch < known!.epoch) {
        return `epoch goes back from ${known!.epoch} to ${report.epoch}`;
      } else if (!this.#isSilent) {
        this.#options.onMeasured(report);
        return undefined;
      }
    }
    this.#stranger = { incarnation: '', answers: 0 };
    this.#report = report;
    if (this.#options.onReport(report)) this.#applied = report.epoch;
    return undefined;
  }

  #isNewLife({ incarnation }: RegionReport): boolean {
    const answers = incarnation === this.#stranger.incarnation ? this.#stranger.answers + 1 : 1;
    this.#stranger = { incarnation, answers };
    return answers >= ANSWERS_TO_NEW_LIFE;
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.monotonicMs();
    this.#failures = 0;
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#options.log.info({ region: this.#options.region }, 'manager heard of again');
  }

  #failed(problem: string): void {
    this.#failures += 1;
    this.#options.metrics.add('foreshard_rem_poll_failures_total', [this.#options.region], 1);
    if (this.#isSilent || this.#failures < FAILURES_TO_SILENCE) return;
    this.#isSilent = true;
    this.#options.log.warn({ region: this.#options.region, problem }, 'manager is silent');
    this.#options.onReport(undefined);
  }

  #pause(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#stop.signal.addEventListener('abort', done, { once: true });
    });
  }
}

/**
 * Milliseconds to rest after an answer that took `waitedMs` to begin. One that was waited for long enough is
 * followed by the next question at once: what changes meanwhile would be heard that much later.
 */
export function pauseAfter(waitedMs: number): number {
  return Math.max(0, LEAST_BETWEEN_MS - waitedMs);
}

async function readBounded(answer: Response): Promise<string> {
  const bytes = await readBytes(answer, MAX_REPORT_BYTES);
  if (bytes === undefined) throw new Error(`the report is over ${MAX_REPORT_BYTES} bytes`);
  return bytes.toString('utf8');
}
