// Fits the hours ahead of all slices of demand once an hour, a few slices at a time, in a disposable thread. Slices
// whose thread failed or took too long get the naive methods alone, which cost nothing and cannot diverge.

import type { Engine } from '../analytics/engine.ts';
import type { HourlyFit, HourlyRequest } from '../analytics/forecast/hourly-fit.ts';
import { type TrainingEnd, trainInThread } from '../analytics/train.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface CapacityTrainerOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  /** fitted, failed, timeout or out_of_memory; once for each slice. */
  onEnd(result: string): void;
  /** Forecasts of single methods that diverged or failed, and were replaced or left out. */
  onReplaced(count: number): void;
  /** Runs fits elsewhere; a thread of its own unless given. */
  readonly run?: (requests: readonly HourlyRequest[]) => Promise<TrainingEnd>;
}

const THREAD = new URL('../analytics/forecast/hourly-fit-worker.ts', import.meta.url);
/** A thread starts in a tenth of a second: a few slices make it worth while, and one that hangs costs only them. */
const SLICES_AT_ONCE = 8;
/** The slowest methods take some seconds a slice on a busy machine. */
/** Looking through all hours for what is due costs more than an evaluation of a quarter of a second may. */
const REST_MS = 20_000;
const LIMITS = { timeMs: 120_000, memoryMb: 512 };

export class CapacityTrainer {
  readonly #options: CapacityTrainerOptions;
  #isBusy = false;
  /** Monotonic milliseconds: nothing was due, and nothing will be for a while. */
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor(options: CapacityTrainerOptions) {
    this.#options = options;
  }

  /** Fits what is due until nothing is; to be called after each evaluation. Resolves when done, never rejects. */
  async train(): Promise<void> {
    const { engine, clock } = this.#options;
    if (this.#isBusy || clock.monotonicMs() < this.#restsUntil) return;
    this.#isBusy = true;
    try {
      let isWorking = true;
      while (isWorking) {
        const requests = engine.capacityDue(clock.wallMs(), SLICES_AT_ONCE);
        isWorking = requests.length > 0 && (await this.#fit(requests));
      }
    } finally {
      this.#restsUntil = clock.monotonicMs() + REST_MS;
      this.#isBusy = false;
    }
  }

  /** @returns false when nothing came of it. */
  async #fit(requests: readonly HourlyRequest[]): Promise<boolean> {
    const { log, onEnd, run = (data) => trainInThread(THREAD, data, LIMITS) } = this.#options;
    const end = await run(requests);
    if (end.kind === 'trained') {
      for (const fit of end.result as HourlyFit[]) this.#take(fit);
      return true;
    }
    const keys = requests.map(({ key }) => key);
    for (const _ of keys) onEnd(end.kind);
    log.warn({ keys, why: end.why }, 'hours ahead could not be fitted; the naive methods do');
    const plain = await run(requests.map((request) => ({ ...request, methods: [] })));
    if (plain.kind !== 'trained') return false;
    for (const fit of plain.result as HourlyFit[]) this.#take(fit);
    return true;
  }

  #take(fit: HourlyFit): void {
    const { engine, onEnd, onReplaced } = this.#options;
    engine.capacity.adopt(fit);
    onEnd('fitted');
    onReplaced(fit.failed.length + fit.replaced);
  }
}
