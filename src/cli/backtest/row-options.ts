// What the kinds of backtest share: files by the directory the command runs in, counts that must be whole numbers,
// and the way from an exception to an exit code. Wrong use is thrown as WrongUse and printed with the kind's help.

import { resolve } from 'node:path';
import { type CommandIo, EXIT_FAILED, EXIT_FINE, EXIT_WRONG_USE } from '../command-io.ts';
import { type CsvTable, readCsvFile } from '../csv-file.ts';

/** Wrong use of a sub-command; its message is for the user. */
export class WrongUse extends Error {}

/** The option's text. Throws WrongUse when it was not given. */
export function required(value: string | undefined, option: string): string {
  if (value === undefined) throw new WrongUse(`--${option} is required`);
  return value;
}

/** A whole number from `least` to `most`. Throws WrongUse otherwise. */
export function wholeNumber(text: string, option: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new WrongUse(`--${option} must be a whole number from ${least} to ${most}, given ${text}`);
}

export interface KindOptions {
  readonly kind: string;
  readonly help: string;
  /** Does the work; resolves to a line for stdout or nothing. Throws WrongUse for wrong options. */
  body(): Promise<string | undefined>;
}

/** Runs a sub-command's body and turns what it throws into a message and an exit code. */
export async function runKind(io: CommandIo, { kind, help, body }: KindOptions): Promise<number> {
  try {
    const said = await body();
    if (said !== undefined) io.out(said);
    return EXIT_FINE;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const isWrongUse = error instanceof WrongUse || code.startsWith('ERR_PARSE_ARGS_');
    io.err(`foreshard backtest ${kind}: ${error.message}\n${isWrongUse ? `\n${help}` : ''}`);
    return isWrongUse ? EXIT_WRONG_USE : EXIT_FAILED;
  }
}

/** Reads a CSV file relative to the command's directory. */
export function readTable(io: CommandIo, path: string): CsvTable {
  return readCsvFile(resolve(io.cwd, path));
}

interface ReplayValues {
  readonly train?: string | undefined;
  readonly test?: string | undefined;
  readonly window?: string | undefined;
  readonly out?: string | undefined;
}

/** What every replay of a train part and a test part is given. Throws WrongUse for what is missing or wrong. */
export function replayOptions(values: ReplayValues, io: CommandIo, mostWindow: number) {
  const out = resolve(io.cwd, required(values.out, 'out'));
  const [trainPath, testPath] = [required(values.train, 'train'), required(values.test, 'test')];
  const window = wholeNumber(required(values.window, 'window'), 'window', 1, mostWindow);
  return { out, window, read: () => ({ train: readTable(io, trainPath), test: readTable(io, testPath) }) };
}

/** Rows t,value for a file. */
export function* numbered(risk: Float64Array): Generator<readonly [number, number]> {
  for (let t = 0; t < risk.length; t += 1) yield [t, risk[t]!];
}
