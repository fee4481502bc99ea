// Prometheus text exposition (format 0.0.4, and the parts of OpenMetrics that servers send unasked) -> points.
// Own code, because the packages keep every label set of a hostile page in memory. Pure and bounded: a line
// that cannot be read is counted and skipped, a page with too many lines is cut and said so.

export interface ExpositionPoint {
  /** Name as it stands, with `_bucket`, `_sum` or `_count`. */
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** May be NaN or infinite: the page may say so. */
  readonly value: number;
  /** Milliseconds; undefined = now. */
  readonly at: number | undefined;
  readonly type: MetricType;
}

export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';

export interface Exposition {
  readonly points: readonly ExpositionPoint[];
  /** Lines that are neither comment nor sample. */
  readonly malformed: number;
  /** Samples not kept because there were more than `most`. */
  readonly dropped: number;
}

const TYPES: ReadonlySet<string> = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);
// Longer ones are no metric but an attempt on our memory.
const MAX_LINE = 8192;
const MAX_LABELS = 32;
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,?)\s*/y;
const NUMBERS = /^\s+([^\s#]+)(?:\s+(-?[\d.]+))?\s*(?:#.*)?$/;

/** @param most samples that are kept. */
export function parseExposition(text: string, most: number): Exposition {
  const points: ExpositionPoint[] = [];
  const types = new Map<string, MetricType>();
  let malformed = 0;
  let dropped = 0;
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    const to = end === -1 ? text.length : end;
    const line = to - from > MAX_LINE ? undefined : text.slice(from, to).trim();
    from = to + 1;
    if (line === '') continue;
    if (line?.startsWith('#')) {
      if (types.size < most) noteType(line, types);
      continue;
    }
    const point = line === undefined ? undefined : parseLine(line, types);
    if (point === undefined) malformed += 1;
    else if (points.length < most) points.push(point);
    else dropped += 1;
  }
  return { points, malformed, dropped };
}

function noteType(line: string, types: Map<string, MetricType>): void {
  const [, keyword, name, type = ''] = line.split(/\s+/);
  if (keyword === 'TYPE' && name !== undefined && TYPES.has(type)) types.set(name, type as MetricType);
}

function parseLine(line: string, types: ReadonlyMap<string, MetricType>): ExpositionPoint | undefined {
  NAME.lastIndex = 0;
  const name = NAME.exec(line)?.[0];
  if (name === undefined) return undefined;
  let at = name.length;
  while (line[at] === ' ' || line[at] === '\t') at += 1;
  const labels = new Map<string, string>();
  if (line[at] === '{') {
    const after = parseLabels(line, at + 1, labels);
    if (after === undefined) return undefined;
    at = after;
  } else {
    at = name.length;
  }
  const numbers = NUMBERS.exec(at === line.length ? '' : padded(line.slice(at)));
  const value = numbers === null ? undefined : parseValue(numbers[1]!);
  if (value === undefined) return undefined;
  const stamp = numbers![2] === undefined ? undefined : Number(numbers![2]);
  if (stamp !== undefined && !Number.isFinite(stamp)) return undefined;
  return { name, labels, value, at: stamp, type: typeOf(name, types) };
}

// After `}` a space is not required.
const padded = (rest: string): string => (/^\s/.test(rest) ? rest : ` ${rest}`);

/** @returns the position after the closing brace. */
function parseLabels(line: string, start: number, labels: Map<string, string>): number | undefined {
  let at = start;
  while (labels.size <= MAX_LABELS) {
    LABEL.lastIndex = at;
    const label = LABEL.exec(line);
    if (label === null) {
      while (line[at] === ' ') at += 1;
      return line[at] === '}' ? at + 1 : undefined;
    }
    // A name that comes twice is no label set.
    if (labels.has(label[1]!)) return undefined;
    labels.set(label[1]!, unescapeValue(label[2]!));
    at = LABEL.lastIndex;
    if (label[3] === '' && line[at] !== '}') return undefined;
  }
  return undefined;
}

function unescapeValue(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(.)/g, (whole, escaped: string) =>
    escaped === 'n' ? '\n' : escaped === '"' || escaped === '\\' ? escaped : whole,
  );
}

function parseValue(text: string): number | undefined {
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return Number.NaN;
  // Number() takes '', '0x10' and '1_0' for numbers or not; the format is Go's decimal floats.
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

function typeOf(name: string, types: ReadonlyMap<string, MetricType>): MetricType {
  const own = types.get(name);
  if (own !== undefined) return own;
  const family = types.get(name.replace(/_(bucket|sum|count|total|created)$/, ''));
  if (family !== undefined) return family;
  return name.endsWith('_total') ? 'counter' : 'untyped';
}
