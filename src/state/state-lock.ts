// One process at a time owns the state folder: control port, store and engine. The lock is an exclusive
// transaction on a small SQLite file: the kernel lets go of it when the process ends, however it ends, and
// no stale file is left to be cleaned up. A second process follows until it gets the lock.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export type LockResult =
  | { readonly kind: 'held'; release(): void }
  /** Another process has it. */
  | { readonly kind: 'busy' }
  /** The folder cannot be used; the sentence says why. */
  | { readonly kind: 'unusable'; readonly why: string };

export function tryLockState(folder: string): LockResult {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true });
    database = new DatabaseSync(join(folder, 'lock.sqlite'), { timeout: 0 });
    database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    const held = database;
    return { kind: 'held', release: () => held.close() };
  } catch (error) {
    database?.close();
    if (isBusy(error)) return { kind: 'busy' };
    const why = error instanceof Error ? error.message : String(error);
    return { kind: 'unusable', why: `state.path: cannot use ${folder}: ${why}` };
  }
}

// SQLITE_BUSY and its extended codes share the low byte 5.
function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  return code !== undefined && (code & 0xff) === 5;
}
