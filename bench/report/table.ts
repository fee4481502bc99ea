// Lays out a table for a terminal: text to the left, figures to the right, one blank column of air.
// Pure: gives the text back, so that the same rows can go to a page or a file.

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

export interface Table {
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  /** Printed below the rows, one line each. */
  readonly notes: readonly string[];
}

export function formatTable(table: Table): string {
  const widths = table.columns.map((column, i) =>
    Math.max(column.title.length, ...table.rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    table.columns
      .map((column, i) => {
        const cell = cells[i] ?? '';
        return column.align === 'left' ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [
    table.title,
    line(table.columns.map((column) => column.title)),
    rule,
    ...table.rows.map(line),
    ...table.notes.map((note) => `  ${note}`),
    '',
  ].join('\n');
}

/** Middle value; of an even count, the mean of the two middle ones. NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Three significant digits below 100, whole numbers with thousands set apart above; `-` for no figure. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value !== 0 && Math.abs(value) < 1) return value.toFixed(2);
  if (Math.abs(value) < 100) return value.toFixed(1);
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Microseconds as people read them: 850us, 1.25ms, 2.1s. */
export function formatMicros(micros: number): string {
  if (!Number.isFinite(micros)) return '-';
  if (micros < 1000) return `${Math.round(micros)}us`;
  if (micros < 1_000_000) return `${(micros / 1000).toFixed(micros < 10_000 ? 2 : 1)}ms`;
  return `${(micros / 1_000_000).toFixed(2)}s`;
}

export function formatMebibytes(bytes: number): string {
  return Number.isFinite(bytes) ? `${(bytes / 1024 ** 2).toFixed(1)}` : '-';
}
