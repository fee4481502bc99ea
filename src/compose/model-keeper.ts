// Writes what the models have learnt into the history, a few entities an evaluation, and gives it back at a start.
// A state that cannot be read is set aside in the history and said so; its entity begins with the kept rows alone.

import { isDeepStrictEqual } from 'node:util';
import type { Engine } from '../analytics/engine.ts';
import { Resumption, readSaved, type SavedWatch, saveWatch } from '../analytics/engine-state.ts';
import type { Row } from '../analytics/series-store.ts';
import type { Clock } from '../core/clock.ts';
import type { HistoryStore } from '../state/stores/history-store.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface KeeperOptions {
  readonly engine: Engine;
  readonly history: HistoryStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** A state could not be read. */
  onUnreadable(): void;
}

// All entities are written once in this many evaluations; what came after is lived through again from the rows.
const TURNS = 40;
// Bytes of one evaluation, and at the end of a process: beyond, rows must do for the rest.
const TURN_BYTES = 4 * 1024 * 1024;
const LAST_BYTES = 128 * 1024 * 1024;
const ROWS_AT_ONCE = 500;

const keyOf = (entity: string): string => `models/${entity}`;

export class ModelKeeper {
  readonly #options: KeeperOptions;
  /** Entity -> when it was written, in evaluations. */
  readonly #writtenAt = new Map<string, number>();
  #turn = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Lives through kept rows, oldest first, with the states that belong to them. */
  async resume(rows: readonly Row[]): Promise<void> {
    const { engine, log } = this.#options;
    const keys = new Set([...engine.watches()].map(({ entity }) => entity.key));
    for (const { entity } of rows) keys.add(entity.key);
    const resumption = new Resumption(await this.#load(keys), (key, problems) =>
      this.#setAside(key, problems.join('; ')),
    );
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      engine.replay(rows.slice(at, at + ROWS_AT_ONCE), resumption);
      // Asked questions are answered in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
    engine.finishReplay(resumption);
    const { resumed } = resumption;
    if (rows.length > 0 || resumed > 0) {
      log.info({ rows: rows.length, models: resumed }, 'the engine has its past back');
    }
  }

  /** Writes some, those first that wait longest; to be called after each evaluation. */
  saveSome(): void {
    this.#turn += 1;
    const watches = [...this.#options.engine.watches()];
    this.#save(Math.ceil(watches.length / TURNS), TURN_BYTES);
  }

  saveAll(): void {
    this.#turn += 1;
    this.#save(Number.POSITIVE_INFINITY, LAST_BYTES);
  }

  #save(most: number, mostBytes: number): void {
    const { engine, history, clock } = this.#options;
    const writtenAt = ({ entity }: { readonly entity: { readonly key: string } }): number =>
      this.#writtenAt.get(entity.key) ?? 0;
    const waiting = [...engine.watches()].sort((a, b) => writtenAt(a) - writtenAt(b));
    let bytes = 0;
    for (const watch of waiting.slice(0, Math.min(waiting.length, most))) {
      if (bytes >= mostBytes) return;
      this.#writtenAt.set(watch.entity.key, this.#turn);
      const text = saveWatch(watch, engine.settings);
      if (text === undefined) continue;
      bytes += text.length;
      history.save(keyOf(watch.entity.key), clock.wallMs(), text);
    }
    const known = new Set(waiting.map(({ entity }) => entity.key));
    for (const key of this.#writtenAt.keys()) if (!known.has(key)) this.#writtenAt.delete(key);
  }

  async #load(keys: Iterable<string>): Promise<Map<string, SavedWatch>> {
    const { engine, history, log } = this.#options;
    const found = new Map<string, SavedWatch>();
    let others = 0;
    for (const key of keys) {
      const text = await history.load(keyOf(key));
      if (text === undefined) continue;
      const saved = readSaved(text);
      if (typeof saved === 'string') this.#setAside(key, saved);
      else if (isDeepStrictEqual(saved.settings, settingsOf(engine))) found.set(key, saved);
      else others += 1;
    }
    if (others > 0) {
      log.info(
        { models: others },
        'models of other steps or another horizon are left; they learn from the rows',
      );
    }
    return found;
  }

  #setAside(entity: string, why: string): void {
    const { history, log, onUnreadable } = this.#options;
    history.setAside(keyOf(entity));
    onUnreadable();
    log.error(
      { entity, why },
      'what its models had learnt cannot be read; set aside, they learn from the rows',
    );
  }
}

function settingsOf({ settings: { stepMs, horizonMs } }: Engine): SavedWatch['settings'] {
  return { stepMs, horizonMs };
}
