// What `backtest failure` and `backtest overload` print: how the engine's risk did on this file beside its
// trivial rivals, each of which sees no more than the engine does. A model that does not beat them is not
// worth its name, and the table says so.

/** A risk for every row, beside the name it is printed under. */
export interface RiskColumn {
  readonly name: string;
  readonly risk: Float64Array;
}

export interface RiskFigures {
  readonly averagePrecision: number;
  /** 1 - Brier / Brier of the file's own base rate, which no one knows beforehand. */
  readonly skill: number;
}

/**
 * The rivals' risk for each row, from the labels of the rows before it.
 * @param window rows ahead that count. @param rowsPerDay 0 when a row's time of day is not known.
 */
export function rivalsOf(labels: Float64Array, window: number, rowsPerDay: number): RiskColumn[] {
  const base = new Float64Array(labels.length);
  const persistence = new Float64Array(labels.length);
  const timeOfDay = new Float64Array(labels.length);
  const beginnings: number[] = [];
  for (let row = 0; row < labels.length; row += 1) {
    const known = row - 1;
    if (known >= 0 && beginsAt(labels, known)) beginnings.push(known);
    base[row] = Math.min(1, ((beginnings.length + 0.5) * window) / (row + 10 * window));
    const last = beginnings.at(-1);
    persistence[row] = last !== undefined && row - last <= window ? 1 : 0;
    timeOfDay[row] = rowsPerDay > 0 ? shareOfDays(beginnings, row, window, rowsPerDay) : base[row]!;
  }
  return [
    { name: 'base rate so far', risk: base },
    { name: 'persistence', risk: persistence },
    { name: 'time of day', risk: timeOfDay },
  ];
}

/** Share of the days so far on which an incident began in the same span (half a day counts as one without). */
function shareOfDays(beginnings: readonly number[], row: number, window: number, rowsPerDay: number): number {
  const days = Math.floor(row / rowsPerDay);
  const hits = new Set<number>();
  for (const beginning of beginnings) {
    const rounds = Math.ceil((row + 1 - beginning) / rowsPerDay);
    if (beginning + rounds * rowsPerDay <= row + window) hits.add(rounds);
  }
  return hits.size / (days + 1.5);
}

function beginsAt(labels: Float64Array, row: number): boolean {
  return labels[row]! > 0 && !(labels[row - 1]! > 0);
}

/** Average precision and Brier skill over the rows outside incidents. */
export function figuresOf(risk: Float64Array, labels: Float64Array, window: number): RiskFigures {
  const soon = new Uint8Array(labels.length);
  for (let row = 0; row < labels.length; row += 1) {
    if (beginsAt(labels, row)) soon.fill(1, Math.max(0, row - window), row);
  }
  const rows: number[] = [];
  for (let row = 0; row < labels.length; row += 1) if (!(labels[row]! > 0)) rows.push(row);
  const positives = rows.reduce((sum, row) => sum + soon[row]!, 0);
  const base = positives / rows.length;
  const brier = rows.reduce((sum, row) => sum + (risk[row]! - soon[row]!) ** 2, 0) / rows.length;
  rows.sort((a, b) => risk[b]! - risk[a]!);
  return {
    averagePrecision: averagePrecision(rows, risk, soon, positives),
    skill: 1 - brier / (base * (1 - base)),
  };
}

/** @param rows by falling risk; equal risks count as one step. */
function averagePrecision(
  rows: readonly number[],
  risk: Float64Array,
  soon: Uint8Array,
  positives: number,
): number {
  let [seen, hits, sum] = [0, 0, 0];
  while (seen < rows.length) {
    const level = risk[rows[seen]!]!;
    const before = hits;
    for (; seen < rows.length && risk[rows[seen]!]! === level; seen += 1) hits += soon[rows[seen]!]!;
    sum += (hits - before) * (hits / seen);
  }
  return sum / positives;
}

/** The table for stdout: the engine first, then its rivals. */
export function reportRisk(columns: readonly RiskColumn[], labels: Float64Array, window: number): string {
  let incidents = 0;
  for (let row = 0; row < labels.length; row += 1) if (beginsAt(labels, row)) incidents += 1;
  if (incidents === 0) return 'no incident in this file: nothing to compare\n';
  const lines = columns.map(({ name, risk }) => {
    const { averagePrecision, skill } = figuresOf(risk, labels, window);
    return `${name.padEnd(20)}${averagePrecision.toFixed(4).padStart(8)}${skill.toFixed(4).padStart(13)}`;
  });
  return `${incidents} incidents; rows outside them\n${'model'.padEnd(20)}  AUC-PR  Brier skill\n${lines.join('\n')}\n`;
}
