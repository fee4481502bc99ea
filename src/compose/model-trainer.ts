// Trains the engine's models one at a time in a disposable thread and lets those take their place that are better
// on recent rows. What is due, and how a model takes over, the models know themselves.

import type { Engine } from '../analytics/engine.ts';
import type { EntityWatch } from '../analytics/entity-watch.ts';
import type { FailureModel, OverloadModel, TrainingAnswer, TrainingJob } from '../analytics/models.ts';
import { isBetter, TrainingQueue, trainInThread } from '../analytics/train.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface TrainerOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  /** taken, refused, failed, timeout or out_of_memory */
  onEnd(result: string): void;
}

const THREAD = new URL('../analytics/training-thread.ts', import.meta.url);
const SCHEDULE = { everyMs: 6 * 3_600_000, restMs: 10 * 60_000 };

type Trainable = FailureModel | OverloadModel;

export class ModelTrainer {
  readonly #options: TrainerOptions;
  readonly #queue = new TrainingQueue(SCHEDULE);
  #isBusy = false;

  constructor(options: TrainerOptions) {
    this.#options = options;
  }

  drifted(entity: string): void {
    this.#queue.drifted(entity);
  }

  /** Trains the model that waits longest, if one is due; to be called after each evaluation. */
  train(): void {
    if (this.#isBusy) return;
    const { engine, clock } = this.#options;
    const watches = new Map([...engine.watches()].map((watch) => [watch.entity.key, watch]));
    const key = this.#queue.due(watches.keys(), clock.monotonicMs());
    if (key === undefined) return;
    const jobs = jobsOf(watches.get(key)!, this.#queue.isDrifted(key));
    // Nothing to train yet is asked again at a later turn, after everybody else.
    this.#queue.began(
      key,
      jobs.length === 0 ? clock.monotonicMs() - SCHEDULE.everyMs + SCHEDULE.restMs : clock.monotonicMs(),
    );
    if (jobs.length === 0) return;
    this.#isBusy = true;
    void this.#run(key, jobs).finally(() => {
      this.#isBusy = false;
    });
  }

  async #run(entity: string, jobs: readonly (readonly [Trainable, TrainingJob])[]): Promise<void> {
    const { log, onEnd } = this.#options;
    for (const [model, job] of jobs) {
      const end = await trainInThread(THREAD, job);
      if (end.kind !== 'trained') {
        onEnd(end.kind);
        log.warn(
          { entity, model: job.kind, why: end.why },
          'a training came to nothing; the model in force stays',
        );
        continue;
      }
      const answer = end.result as TrainingAnswer;
      const isTaken = isBetter(answer);
      if (isTaken) model.adopt(answer.model);
      onEnd(isTaken ? 'taken' : 'refused');
      const { champion, challenger } = answer;
      log.info({ entity, model: job.kind, champion, challenger, isTaken }, 'a model was trained');
    }
  }
}

function jobsOf({ models }: EntityWatch, isDrifted: boolean): (readonly [Trainable, TrainingJob])[] {
  return [models.failure, models.overload].flatMap((model) => {
    const job = model?.training(isDrifted);
    return model === undefined || job === undefined ? [] : [[model, job] as const];
  });
}
