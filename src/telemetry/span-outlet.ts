// Where spans go, which a reload may change: to a collector, or nowhere.

import { type FinishedSpan, SpanExport, type SpanExportOptions } from './span-export.ts';

export class SpanOutlet {
  readonly #options: Omit<SpanExportOptions, 'url'>;
  #url: string | undefined;
  #export: SpanExport | undefined;

  constructor(options: Omit<SpanExportOptions, 'url'>) {
    this.#options = options;
  }

  /** Of the collector; undefined = nothing is exported. */
  get url(): string | undefined {
    return this.#url;
  }

  get isOpen(): boolean {
    return this.#export !== undefined;
  }

  aim(url: string | undefined): void {
    if (url === this.#url) return;
    void this.#export?.close();
    this.#url = url;
    this.#export = url === undefined ? undefined : new SpanExport({ ...this.#options, url });
  }

  add(traceId: string, parentId: string | undefined, span: FinishedSpan): void {
    this.#export?.add(traceId, parentId, span);
  }

  async close(): Promise<void> {
    await this.#export?.close();
    this.#export = undefined;
  }
}
