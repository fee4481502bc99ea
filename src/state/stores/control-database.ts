// What the API has changed, on disk (node:sqlite): overrides of regions, immutable revisions of policies, the audit
// log. Every change is one transaction that is on the disk when it is answered. Only the control thread holds one.

import { DatabaseSync } from 'node:sqlite';
import type { AuditEntry, ControlChange, ControlState, PolicyRevision } from './control-messages.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, body TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS revision (revision INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, policies TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
`;
// Years of operators; the oldest make room.
const MAX_AUDIT = 10_000;
const MAX_REVISIONS = 1000;

export class ControlDatabase {
  readonly #db: DatabaseSync;

  /** Throws when the file cannot be used: what somebody has decided must not be forgotten in silence. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 1000 });
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    this.#db.exec(SCHEMA);
  }

  load(): ControlState {
    const row = this.#db.prepare("SELECT body FROM state WHERE key = 'overrides'").get();
    const [policies] = this.revisions(1);
    return { overrides: row === undefined ? {} : JSON.parse(String(row.body)), policies };
  }

  /** @returns the revision that was made, when the change is one of policies. */
  commit({ overrides, policies, audit }: ControlChange): number | undefined {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      if (overrides !== undefined) {
        this.#db
          .prepare("INSERT OR REPLACE INTO state VALUES ('overrides', ?)")
          .run(JSON.stringify(overrides));
      }
      const revision = policies === undefined ? undefined : this.#revise(policies, audit);
      this.#db.prepare('INSERT INTO audit (body) VALUES (?)').run(JSON.stringify(audit));
      this.#db.prepare(`DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ${MAX_AUDIT}`).run();
      this.#db.exec('COMMIT');
      return revision;
    } catch (error) {
      // A full disk makes sqlite roll back by itself; a second rollback would throw and hide the cause.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #revise(policies: Readonly<Record<string, unknown>>, { at, who, why }: AuditEntry): number {
    const { lastInsertRowid } = this.#db
      .prepare('INSERT INTO revision (at, who, why, policies) VALUES (?, ?, ?, ?)')
      .run(at, who, why, JSON.stringify(policies));
    const revision = Number(lastInsertRowid);
    this.#db.prepare('DELETE FROM revision WHERE revision <= ?').run(revision - MAX_REVISIONS);
    return revision;
  }

  /** Newest first. */
  audit(limit: number): AuditEntry[] {
    const rows = this.#db.prepare('SELECT body FROM audit ORDER BY id DESC LIMIT ?').all(limit);
    return rows.map(({ body }) => JSON.parse(String(body)) as AuditEntry);
  }

  /** Newest first. */
  revisions(limit: number): PolicyRevision[] {
    return this.#db
      .prepare('SELECT * FROM revision ORDER BY revision DESC LIMIT ?')
      .all(limit)
      .map(revisionOf);
  }

  revision(revision: number): PolicyRevision | undefined {
    const row = this.#db.prepare('SELECT * FROM revision WHERE revision = ?').get(revision);
    return row === undefined ? undefined : revisionOf(row);
  }

  close(): void {
    this.#db.close();
  }
}

function revisionOf(row: Record<string, unknown>): PolicyRevision {
  return {
    revision: Number(row.revision),
    at: String(row.at),
    who: String(row.who),
    why: String(row.why),
    policies: JSON.parse(String(row.policies)) as PolicyRevision['policies'],
  };
}
