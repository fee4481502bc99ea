// What the owner of the history and its thread say to each other.

/** One measured value of a closed slot. */
export interface HistoryValue {
  readonly entity: string;
  readonly metric: string;
  /** Wall milliseconds. */
  readonly at: number;
  readonly value: number;
}

export interface HistoryQuery {
  readonly entity: string;
  readonly metric: string;
  readonly from: number;
  readonly to: number;
}

export interface HistoryPoint {
  readonly at: number;
  readonly value: number;
}

export type ToHistory =
  | { readonly kind: 'append'; readonly values: readonly HistoryValue[] }
  | { readonly kind: 'save'; readonly key: string; readonly at: number; readonly body: string }
  /** What lies under this key cannot be read: it is kept under another one, for whoever wants to know why. */
  | { readonly kind: 'set_aside'; readonly key: string }
  | { readonly kind: 'prune'; readonly now: number }
  | { readonly kind: 'query'; readonly ticket: number; readonly query: HistoryQuery }
  | { readonly kind: 'load'; readonly ticket: number; readonly key: string }
  /** Values of all entities since `from`, in the order of time. */
  | { readonly kind: 'replay'; readonly ticket: number; readonly from: number; readonly most: number }
  /** Hourly means of a metric of all entities whose key begins with one of these. */
  | {
      readonly kind: 'hours';
      readonly ticket: number;
      readonly metric: string;
      readonly prefixes: readonly string[];
      readonly from: number;
    }
  | { readonly kind: 'close'; readonly ticket: number };

export type FromHistory =
  | { readonly kind: 'opened'; readonly note: string | undefined }
  | { readonly kind: 'answer'; readonly ticket: number; readonly answer: unknown }
  /** Something went wrong that cost `lost` values; the store goes on. */
  | { readonly kind: 'problem'; readonly problem: string; readonly lost: number };

export interface HourOfEntity {
  readonly entity: string;
  /** Wall milliseconds / hour. */
  readonly hour: number;
  readonly mean: number;
  /** Values behind it. */
  readonly n: number;
}

export interface HistoryStart {
  readonly path: string;
  readonly retentionMs: number;
  /** For the name of a file that is set aside. */
  readonly now: number;
}
