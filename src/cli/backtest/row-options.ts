// Options that the kinds of backtest share: reading a file by the directory the command runs in, counts that
// must be whole numbers. What is wrong is thrown as WrongUse and printed by the kind with its help.

import { resolve } from 'node:path';
import type { CommandIo } from '../command-io.ts';
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

/** Reads a CSV file relative to the command's directory. */
export function readTable(io: CommandIo, path: string): CsvTable {
  return readCsvFile(resolve(io.cwd, path));
}
