// Metric history and model state on disk (node:sqlite): WAL, synchronous FULL, values as they came for two
// days and in buckets of ten minutes for as long as `pae.retention` says. Synchronous by nature, hence only
// the history thread holds one. A file that is corrupt is set aside and a new one begun: an engine without a
// past is worth more than none.

import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { HistoryPoint, HistoryQuery, HistoryValue, HourOfEntity } from './history-messages.ts';

const SCHEMA_VERSION = 1;
const RAW_MS = 2 * 86_400_000;
const BUCKET_MS = 600_000;
const HOUR_MS = 3_600_000;
// Six weeks of hours of 600 entities.
const MAX_HOURS = 600_000;
// Set aside at most this many corrupt files: each may be as large as the history.
const KEPT_ASIDE = 3;
const MAX_POINTS = 20_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, entity TEXT NOT NULL, metric TEXT NOT NULL,
    UNIQUE (entity, metric));
  CREATE TABLE IF NOT EXISTS raw (series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (series, at)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS raw_at ON raw (at);
  CREATE TABLE IF NOT EXISTS bucket (series INTEGER NOT NULL, at INTEGER NOT NULL, mean REAL NOT NULL,
    low REAL NOT NULL, high REAL NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (series, at)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL);
`;

export interface OpenedHistory {
  readonly history: HistoryDatabase;
  /** A sentence when the file that was there could not be used. */
  readonly note: string | undefined;
}

export class HistoryDatabase {
  readonly #db: DatabaseSync;
  readonly #ids = new Map<string, number>();
  readonly #insert: StatementSync;
  readonly #addSeries: StatementSync;
  readonly #findSeries: StatementSync;
  #bucketedTo: number;

  /** @param now wall milliseconds, for the name of a file set aside. Throws when no file can be made at all. */
  static open(path: string, now: number): OpenedHistory {
    try {
      return { history: new HistoryDatabase(path), note: undefined };
    } catch (error) {
      if (!existsSync(path)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      const aside = setAside(path, now);
      const note = `${basename(path)} cannot be read (${why}); set aside as ${basename(aside)}, history begins anew`;
      return { history: new HistoryDatabase(path), note };
    }
  }

  private constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 1000 });
    try {
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      this.#check();
      this.#db.exec(SCHEMA);
      this.#db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
      this.#insert = this.#db.prepare('INSERT OR REPLACE INTO raw VALUES (?, ?, ?)');
      this.#addSeries = this.#db.prepare('INSERT OR IGNORE INTO series (entity, metric) VALUES (?, ?)');
      this.#findSeries = this.#db.prepare('SELECT id FROM series WHERE entity = ? AND metric = ?');
      this.#bucketedTo = Number(this.load('bucketed_to') ?? 0);
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** In one transaction: one sync of the disk for all of them. */
  append(values: readonly HistoryValue[]): void {
    this.#transact(() => {
      for (const { entity, metric, at, value } of values) {
        this.#insert.run(this.#seriesId(entity, metric), Math.round(at), value);
      }
    });
  }

  /** Oldest first; where the values themselves are gone, the means of ten minutes. */
  query({ entity, metric, from, to }: HistoryQuery): HistoryPoint[] {
    const id = this.#findSeries.get(entity, metric)?.id;
    if (id === undefined) return [];
    const raw = this.#db
      .prepare('SELECT at, value FROM raw WHERE series = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?')
      .all(id, from, to, MAX_POINTS) as unknown as HistoryPoint[];
    const oldest = raw.at(-1)?.at ?? to;
    const older = this.#db
      .prepare(
        'SELECT at, mean AS value FROM bucket WHERE series = ? AND at >= ? AND at + ? <= ? ORDER BY at DESC LIMIT ?',
      )
      .all(id, from, BUCKET_MS, oldest, MAX_POINTS - raw.length) as unknown as HistoryPoint[];
    return [...raw, ...older].reverse().map(({ at, value }) => ({ at, value }));
  }

  /** The newest `most` values since `from`, oldest first. */
  replay(from: number, most: number): HistoryValue[] {
    const rows = this.#db
      .prepare(
        'SELECT entity, metric, at, value FROM raw JOIN series ON series.id = raw.series WHERE at >= ? ORDER BY at DESC LIMIT ?',
      )
      .all(from, most) as unknown as HistoryValue[];
    return rows.reverse().map((row) => ({ ...row }));
  }

  /** A value's time is the end of what was measured: one at the full hour is of the hour before. */
  hours(metric: string, prefixes: readonly string[], from: number): HourOfEntity[] {
    const isWanted = prefixes.map(() => 'entity GLOB ?').join(' OR ');
    const rows = this.#db
      .prepare(
        `WITH wanted AS (SELECT id, entity FROM series WHERE metric = ? AND (${isWanted})),
              first AS (SELECT min(at) AS at FROM raw)
         SELECT entity, hour, sum(total) / sum(n) AS mean, sum(n) AS n FROM (
           SELECT series, (at - 1) / ${HOUR_MS} AS hour, value AS total, 1 AS n FROM raw WHERE at >= ?
           UNION ALL
           SELECT series, at / ${HOUR_MS} AS hour, mean * n AS total, n FROM bucket
             WHERE at >= ? AND at + ${BUCKET_MS} <= coalesce((SELECT at FROM first), at + ${BUCKET_MS})
         ) JOIN wanted ON wanted.id = series GROUP BY series, hour ORDER BY hour LIMIT ?`,
      )
      .all(metric, ...prefixes.map((prefix) => `${prefix}*`), from, from, MAX_HOURS);
    return (rows as unknown as HourOfEntity[]).map((row) => ({ ...row }));
  }

  save(key: string, at: number, body: string): void {
    this.#db.prepare('INSERT OR REPLACE INTO state VALUES (?, ?, ?)').run(key, at, body);
  }

  load(key: string): string | undefined {
    const row = this.#db.prepare('SELECT body FROM state WHERE key = ?').get(key);
    return row === undefined ? undefined : String(row.body);
  }

  setAside(key: string): void {
    this.#db.prepare("UPDATE OR REPLACE state SET key = 'aside/' || key WHERE key = ?").run(key);
  }

  /** Folds what is complete into buckets and deletes what is too old. */
  prune(now: number, retentionMs: number): void {
    const complete = Math.floor(now / BUCKET_MS) * BUCKET_MS;
    this.#transact(() => {
      this.#db
        .prepare(
          `INSERT OR REPLACE INTO bucket
             SELECT series, at / ${BUCKET_MS} * ${BUCKET_MS}, avg(value), min(value), max(value), count(*)
             FROM raw WHERE at >= ? AND at < ? GROUP BY 1, 2`,
        )
        .run(this.#bucketedTo, complete);
      const oldest = now - Math.min(RAW_MS, retentionMs);
      // What was told afterwards is of hours that were folded long ago: it has no bucket yet.
      this.#db
        .prepare(
          `INSERT OR IGNORE INTO bucket
             SELECT series, at / ${BUCKET_MS} * ${BUCKET_MS}, avg(value), min(value), max(value), count(*)
             FROM raw WHERE at < ? GROUP BY 1, 2`,
        )
        .run(oldest);
      this.#db.prepare('DELETE FROM raw WHERE at < ?').run(oldest);
      this.#db.prepare('DELETE FROM bucket WHERE at < ?').run(now - retentionMs);
      // Models of servers that are gone, and what earlier versions kept.
      this.#db
        .prepare(
          "DELETE FROM state WHERE (key LIKE 'models/%' OR key LIKE 'aside/%' OR key LIKE 'scores/%') AND at < ?",
        )
        .run(now - retentionMs);
      // Series of which nothing is left: servers come and go.
      this.#db.exec(
        'DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM bucket WHERE series = id) AND NOT EXISTS (SELECT 1 FROM raw WHERE series = id)',
      );
      this.save('bucketed_to', now, String(complete));
    });
    this.#ids.clear();
    this.#bucketedTo = complete;
  }

  close(): void {
    this.#db.close();
  }

  #check(): void {
    const [first] = this.#db.prepare('PRAGMA quick_check(1)').all();
    if (first?.quick_check !== 'ok') throw new Error(String(first?.quick_check));
    const version = Number(this.#db.prepare('PRAGMA user_version').get()?.user_version);
    if (version > SCHEMA_VERSION) throw new Error(`its version is ${version}, ours ${SCHEMA_VERSION}`);
  }

  #seriesId(entity: string, metric: string): number {
    const key = `${entity}\n${metric}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      this.#addSeries.run(entity, metric);
      id = Number(this.#findSeries.get(entity, metric)!.id);
      this.#ids.set(key, id);
    }
    return id;
  }

  #transact(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      // A full disk makes sqlite roll back by itself; a second rollback would throw and hide the cause.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      // Ids that were made in here are gone again.
      this.#ids.clear();
      throw error;
    }
  }
}

function setAside(path: string, now: number): string {
  const stamp = new Date(now).toISOString().replace(/[:.]/g, '-');
  const aside = `${path}.corrupt-${stamp}`;
  renameSync(path, aside);
  // They belong to the file that is gone; a new one must not read them.
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  const folder = dirname(path);
  const older = readdirSync(folder)
    .filter((name) => name.startsWith(`${basename(path)}.corrupt-`))
    .sort();
  for (const name of older.slice(0, -KEPT_ASIDE)) rmSync(join(folder, name), { force: true });
  return aside;
}

/** Whether an error of SQLite means that the file is damaged (SQLITE_CORRUPT, SQLITE_NOTADB). */
export function isCorruption(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  return code !== undefined && ((code & 0xff) === 11 || (code & 0xff) === 26);
}
