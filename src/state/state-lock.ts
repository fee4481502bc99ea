// One process at a time owns the state folder: control port, store and engine. The lock is an exclusive
// transaction on a small SQLite file: the kernel lets go of it when the process ends, however it ends, and
// no stale file is left to be cleaned up. A second process follows until it gets the lock.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export type LockResult =
  | { readonly kind: 'held'; release(): void }
  /** Another process has it. */
  | { readonly kind: 'busy' }
  /** The folder cannot be used; the sentence says why. */
  | { readonly kind: 'unusable'; readonly why: string };

export function tryLockState(folder: string): LockResult {
  const lock = lockOnce(folder);
  if (lock !== 'no_database') return lock;
  // Somebody wrote over the file. Nothing is kept in it, so a new one is as good.
  rmSync(join(folder, LOCK_FILE), { force: true });
  const again = lockOnce(folder);
  return again === 'no_database' ? unusable(folder, 'file is not a database') : again;
}

function lockOnce(folder: string): LockResult | 'no_database' {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true });
    database = new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 });
    database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    const held = database;
    return { kind: 'held', release: () => held.close() };
  } catch (error) {
    database?.close();
    if (codeOf(error) === SQLITE_BUSY) return { kind: 'busy' };
    if (codeOf(error) === SQLITE_NOTADB) return 'no_database';
    return unusable(folder, error instanceof Error ? error.message : String(error));
  }
}

function unusable(folder: string, why: string): LockResult {
  return { kind: 'unusable', why: `state.path: cannot use ${folder}: ${why}` };
}

const LOCK_FILE = 'lock.sqlite';
const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;

/** Primary result code: extended ones share its low byte. */
function codeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: number }).errcode;
  return code === undefined ? undefined : code & 0xff;
}
