// What is known of a metric by its name before anything was learnt: whether it is counted in shares of a
// limit, and at which value a server stops serving. Unknown names have no limit; they are judged by their
// own past alone.

/** How a metric kills a server, if it does. */
export interface MetricKind {
  /** `stock` fills and stays (memory, disk); `flow` follows demand and comes back (cpu); `symptom` is felt by clients. */
  readonly nature: 'stock' | 'flow' | 'symptom' | 'unknown';
  /** Value at which requests fail; undefined = learnt as a multiple of the usual value, or not at all. */
  readonly limit: number | undefined;
  /** Multiple of the usual value that stands for a limit where none is known; undefined = none. */
  readonly usualMultiple: number | undefined;
  /** A limit made of the usual value is no lower than this: ten times next to nothing is still nothing. */
  readonly leastLimit: number;
  /** Words for people. */
  readonly words: string;
}

interface NamedKind extends Omit<MetricKind, 'leastLimit'> {
  readonly name: RegExp;
  readonly leastLimit?: number;
}

/** A region or server that answers this share of its requests with errors has failed those that it serves. */
export const FAILING_ERROR_RATE = 0.1;

// What people notice, and what a server of any size works off in about a second.
const NOTICED_MS = 200;
const SHORT_QUEUE = 32;

// First match counts. Shares (0..1) as the telemetry contract has them; a latency ten times the usual one
// or a queue thirty times the usual one is what clients call down.
const KINDS: readonly NamedKind[] = [
  {
    name: /^mem(ory)?(_util(ization|isation)?)?$/,
    nature: 'stock',
    limit: 0.98,
    usualMultiple: undefined,
    words: 'memory',
  },
  { name: /^disk(_used|_usage)?$/, nature: 'stock', limit: 0.98, usualMultiple: undefined, words: 'disk' },
  {
    name: /^cpu(_util(ization|isation)?)?$/,
    nature: 'flow',
    limit: 1,
    usualMultiple: undefined,
    words: 'CPU',
  },
  { name: /^disk_io$/, nature: 'flow', limit: 1, usualMultiple: undefined, words: 'disk activity' },
  { name: /^network$/, nature: 'flow', limit: 1, usualMultiple: undefined, words: 'network' },
  {
    name: /^error_rate$/,
    nature: 'symptom',
    limit: FAILING_ERROR_RATE,
    usualMultiple: undefined,
    words: 'the error rate',
  },
  {
    name: /^latency_ms/,
    nature: 'symptom',
    limit: undefined,
    usualMultiple: 10,
    leastLimit: NOTICED_MS,
    words: 'latency',
  },
  { name: /^latency/, nature: 'symptom', limit: undefined, usualMultiple: 10, words: 'latency' },
  {
    name: /^queue/,
    nature: 'symptom',
    limit: undefined,
    usualMultiple: 30,
    leastLimit: SHORT_QUEUE,
    words: 'the queue',
  },
];

const UNKNOWN: MetricKind = {
  nature: 'unknown',
  limit: undefined,
  usualMultiple: undefined,
  leastLimit: 0,
  words: 'a metric',
};

/** The kind of a metric by its name; `limit` overrides where the operator knows better. */
export function metricKind(name: string, limit?: number): MetricKind {
  const {
    nature,
    limit: known,
    usualMultiple,
    leastLimit = 0,
    words,
  } = KINDS.find((kind) => kind.name.test(name)) ?? {
    ...UNKNOWN,
    words: name,
  };
  return { nature, limit: limit ?? known, usualMultiple, leastLimit, words };
}
