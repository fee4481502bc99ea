// The state folder of a proxy: one lock, which a second process waits for, and the last plan. A full or read-only
// disk costs what is kept over a restart, not the traffic.

import { resolve } from 'node:path';
import type { Plan } from '../plan/plan.ts';
import { PlanFile } from '../state/plan-file.ts';
import { type LockResult, tryLockState } from '../state/state-lock.ts';
import type { Logger } from '../telemetry/logger.ts';
import { untilDone } from './until-done.ts';

// How often a following process tries to take over, and looks at the plan of the one that leads.
const LOCK_RETRY_MS = 250;
// How often a process without state looks whether its folder can be used.
const STATE_RETRY_MS = 5000;

export interface Waiting {
  readonly log: Logger;
  readonly timers: Set<NodeJS.Timeout>;
  isOver(): boolean;
}

export class StateFolder {
  readonly #path: string;
  readonly #file: PlanFile;
  #lock: LockResult;

  constructor(path: string) {
    this.#path = resolve(path);
    this.#lock = tryLockState(this.#path);
    this.#file = new PlanFile(this.#path);
  }

  /** held: ours. busy: another process has it. unusable: nobody can. */
  get kind(): LockResult['kind'] {
    return this.#lock.kind;
  }

  /** The plan, a sentence when the file holds no valid one, undefined when there is none. */
  read(): Promise<Plan | string | undefined> {
    return this.#file.read();
  }

  /** A follower keeps its hands off: the file belongs to the process that has the lock. */
  keep(plan: Plan, log: Logger): void {
    if (this.#lock.kind !== 'held') return;
    void this.#file.write(plan).then((problem) => {
      if (problem !== undefined) log.error({ problem }, 'the plan could not be kept on disk');
    });
  }

  /**
   * Another process has the folder: serve beside it by its plans, and take over when it lets go.
   * @param onPlan called with every plan that it keeps.
   */
  follow(waiting: Waiting, { lead, onPlan }: { lead(): Promise<void>; onPlan(plan: Plan): void }): void {
    waiting.log.info({ state: this.#path }, 'following: another process has the lock');
    untilDone({
      ...waiting,
      pauseMs: LOCK_RETRY_MS,
      attempt: async () => {
        if (this.#lock.kind !== 'held') this.#lock = tryLockState(this.#path);
        if (this.#lock.kind === 'busy') {
          const plan = await this.#file.readIfChanged();
          if (plan !== undefined) onPlan(plan);
          return false;
        }
        await lead();
        return true;
      },
    });
  }

  /** @param onUsable called when what is kept can be kept. */
  retry(waiting: Waiting, onUsable: () => void): void {
    if (this.#lock.kind !== 'unusable') return;
    waiting.log.error({ problem: this.#lock.why }, 'nothing can be kept on disk, serving without');
    untilDone({
      ...waiting,
      pauseMs: STATE_RETRY_MS,
      attempt: async () => {
        const lock = tryLockState(this.#path);
        if (lock.kind !== 'held') return false;
        this.#lock = lock;
        waiting.log.info({ state: this.#path }, 'state can be kept on disk again');
        onUsable();
        return true;
      },
    });
  }

  /** Waits for what is being written and lets go of the lock. */
  async release(): Promise<void> {
    await this.#file.settled();
    if (this.#lock.kind === 'held') this.#lock.release();
    this.#lock = { kind: 'busy' };
  }
}
