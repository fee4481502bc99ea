// What the control port and the thread that holds its database say to each other.

/** One change that somebody made at run time. */
export interface AuditEntry {
  /** ISO 8601. */
  readonly at: string;
  readonly who: string;
  /** `region.drain`, `policy.put`, ... */
  readonly what: string;
  readonly target: string;
  readonly from: unknown;
  readonly to: unknown;
  readonly why: string;
}

/** The policies of the API as they were from one change to the next; never written again. */
export interface PolicyRevision {
  readonly revision: number;
  readonly at: string;
  readonly who: string;
  readonly why: string;
  /** Policy documents by name; null = the file's of that name is taken out. */
  readonly policies: Readonly<Record<string, unknown>>;
}

/** What holds when a process starts. */
export interface ControlState {
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly policies: PolicyRevision | undefined;
}

/** Written whole or not at all, with its entry in the audit log. */
export interface ControlChange {
  readonly overrides?: Readonly<Record<string, unknown>>;
  readonly policies?: Readonly<Record<string, unknown>>;
  readonly audit: AuditEntry;
}

export type ControlAsk =
  | { readonly kind: 'load' }
  | { readonly kind: 'commit'; readonly change: ControlChange }
  | { readonly kind: 'audit'; readonly limit: number }
  | { readonly kind: 'revisions'; readonly limit: number }
  | { readonly kind: 'revision'; readonly revision: number }
  | { readonly kind: 'close' };

export type ToControlStore = ControlAsk & { readonly ticket: number };

export interface FromControlStore {
  readonly ticket: number;
  /** Set when it could not be done. */
  readonly problem?: string;
  readonly answer?: unknown;
}
