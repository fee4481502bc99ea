// Recorded data for `foreshard backtest`: plain or gzipped CSV with a header line and no quoting
// (metrics and times need none). Columns of numbers become Float64Arrays; a field that is empty or no
// number is NaN, which is what a missing sample is everywhere in the engine.

import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface CsvTable {
  readonly columns: readonly string[];
  readonly rowCount: number;
  /** Text of a column, one entry a row. Throws when the file has no such column. */
  text(column: string): readonly string[];
  /** Numbers of a column, one a row. Throws when the file has no such column. */
  numbers(column: string): Float64Array;
}

/** Reads `path`, through gunzip when it ends in `.gz`. Throws with the path when it cannot be read. */
export function readCsvFile(path: string): CsvTable {
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const [header = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  const columns = header.split(',').map((name) => name.trim());
  const rows = lines.map((line) => line.split(','));

  const indexOf = (column: string): number => {
    const index = columns.indexOf(column);
    if (index === -1) throw new Error(`${path}: no column ${column}; it has ${columns.join(', ')}`);
    return index;
  };
  return {
    columns,
    rowCount: rows.length,
    text: (column) => {
      const index = indexOf(column);
      return rows.map((row) => row[index] ?? '');
    },
    numbers: (column) => {
      const index = indexOf(column);
      return Float64Array.from(rows, (row) => parseNumber(row[index]));
    },
  };
}

function parseNumber(field: string | undefined): number {
  return field === undefined || field.trim() === '' ? Number.NaN : Number(field);
}

/** Writes a header and rows; numbers in their shortest exact form. */
export function writeCsvFile(
  path: string,
  columns: readonly string[],
  rows: Iterable<readonly (string | number)[]>,
): void {
  const lines = [columns.join(',')];
  for (const row of rows) lines.push(row.join(','));
  writeFileSync(path, `${lines.join('\n')}\n`);
}
