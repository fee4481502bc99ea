// The last good plan on disk: a restart serves with the table it had, with or without an engine. Written to
// a temporary file, synced and renamed, so that a crash or a full disk leaves the old one whole.

import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Plan, validatePlan } from '../plan/plan.ts';

export class PlanFile {
  readonly #folder: string;
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();
  /** Time of the last change that `readIfChanged` has seen. */
  #changedAt: number | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#path = join(folder, 'plan.json');
  }

  /** The plan, a sentence when the file holds no valid one, undefined when there is none. */
  async read(): Promise<Plan | string | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : String(error);
    }
    try {
      const verdict = validatePlan(JSON.parse(text));
      return verdict.ok ? verdict.plan : `plan.json: ${verdict.problem}`;
    } catch (error) {
      return `plan.json: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** The plan, if the file is another one than at the last call and holds a valid plan. */
  async readIfChanged(): Promise<Plan | undefined> {
    const changedAt = await stat(this.#path).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    if (changedAt === undefined || changedAt === this.#changedAt) return undefined;
    this.#changedAt = changedAt;
    const plan = await this.read();
    return typeof plan === 'object' ? plan : undefined;
  }

  /** Writes after what is being written already. Resolves to a sentence when it could not be written. */
  write(plan: Plan): Promise<string | undefined> {
    const done = this.#writing.then(() => this.#replace(plan));
    this.#writing = done.then(() => {});
    return done;
  }

  /** Resolves when nothing is being written any more. */
  settled(): Promise<void> {
    return this.#writing;
  }

  async #replace(plan: Plan): Promise<string | undefined> {
    const temporary = `${this.#path}.${process.pid}.tmp`;
    try {
      await mkdir(this.#folder, { recursive: true });
      const file = await open(temporary, 'w');
      try {
        await file.writeFile(JSON.stringify(plan));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
      return undefined;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      return `cannot keep the plan in ${this.#path}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
}
