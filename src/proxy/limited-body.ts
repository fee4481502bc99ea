// A request body that may be so long and no longer, where its length was not declared: read on, it fails with
// `too_large`. For regions with a maxBody.

import type { BodySink, Collected, RequestBody } from './downstream.ts';

export class LimitedBody implements RequestBody {
  readonly #inner: RequestBody;
  readonly #limit: number;
  #taken = 0;

  /** @param limit bytes. */
  constructor(inner: RequestBody, limit: number) {
    this.#inner = inner;
    this.#limit = limit;
  }

  get length(): number | undefined {
    return this.#inner.length;
  }

  get isConsumed(): boolean {
    return this.#inner.isConsumed;
  }

  async collect(limit: number, idleMs: number, enough?: (chunk: Uint8Array) => boolean): Promise<Collected> {
    const read = await this.#inner.collect(limit, idleMs, enough);
    if (read.kind === 'failed') return read;
    this.#taken += read.bytes.length;
    return this.#taken > this.#limit ? { kind: 'failed', why: 'too_large' } : read;
  }

  stream(sink: BodySink): void {
    let isOver = false;
    this.#inner.stream({
      data: (chunk) => {
        this.#taken += chunk.length;
        if (this.#taken <= this.#limit) return sink.data(chunk);
        // Told once; what still comes is left unread.
        if (!isOver) sink.failed('too_large');
        isOver = true;
        return false;
      },
      end: () => {
        if (!isOver) sink.end();
      },
      failed: (why) => {
        if (!isOver) sink.failed(why);
      },
    });
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }
}
