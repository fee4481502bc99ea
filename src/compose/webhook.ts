// Tells a URL something, in order, one message at a time, with a few tries each. Bounded: whoever does not listen
// loses messages and is counted, and nobody waits for it. With a key every message carries its HMAC, so that
// the listener knows who speaks.

import { createHmac } from 'node:crypto';
import { rootCause } from '../core/fetch-text.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface WebhookOptions {
  readonly url: string;
  /** Signs messages; undefined = they are not signed. */
  readonly signingKey?: string | undefined;
  readonly log: Logger;
  onResult(result: 'ok' | 'failed' | 'dropped'): void;
}

const MAX_QUEUED = 100;
const TRIES = 3;
const ANSWER_MS = 5000;
const PAUSE_MS = 500;

/** Hexadecimal HMAC-SHA-256 of the body. */
const SIGNATURE_FIELD = 'foreshard-signature';

export class Webhook {
  readonly #options: WebhookOptions;
  readonly #queue: string[] = [];
  readonly #abort = new AbortController();
  #isSending = false;
  #lastFailure = '';

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  send(message: object): void {
    if (this.#queue.length >= MAX_QUEUED) {
      this.#queue.shift();
      this.#options.onResult('dropped');
    }
    this.#queue.push(JSON.stringify(message));
    if (!this.#isSending) void this.#drain();
  }

  close(): void {
    this.#queue.length = 0;
    this.#abort.abort();
  }

  async #drain(): Promise<void> {
    this.#isSending = true;
    for (let body = this.#queue.shift(); body !== undefined; body = this.#queue.shift()) {
      const problem = await this.#deliver(body);
      if (this.#abort.signal.aborted) break;
      this.#options.onResult(problem === undefined ? 'ok' : 'failed');
      if (problem !== undefined && problem !== this.#lastFailure) {
        this.#options.log.warn({ url: this.#options.url, problem }, 'a webhook does not take its messages');
      }
      this.#lastFailure = problem ?? '';
    }
    this.#isSending = false;
  }

  async #deliver(body: string): Promise<string | undefined> {
    let problem: string | undefined;
    for (let i = 0; i < TRIES && !this.#abort.signal.aborted; i++) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** (i - 1)));
      problem = await this.#post(body);
      if (problem === undefined) return undefined;
    }
    return problem;
  }

  async #post(body: string): Promise<string | undefined> {
    const { url, signingKey } = this.#options;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(signingKey === undefined
            ? {}
            : { [SIGNATURE_FIELD]: createHmac('sha256', signingKey).update(body).digest('hex') }),
        },
        body,
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(ANSWER_MS)]),
        redirect: 'error',
      });
      await response.body?.cancel();
      return response.ok ? undefined : `status ${response.status}`;
    } catch (error) {
      return rootCause(error);
    }
  }
}
