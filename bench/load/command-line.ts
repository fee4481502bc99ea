// Reads the values of options. Wrong use is thrown as WrongUse and ends the program with 2: it happens
// before anything was started.

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { parseDuration, parseSize } from '../../src/core/units.ts';

export class WrongUse extends Error {}

/** The values of a command's options, as text. */
export function optionValues<const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new WrongUse((error as Error).message);
  }
}

export function durationOption(name: string, text: string, minMs: number, maxMs: number): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new WrongUse(`--${name} must be ${parsed.allowed}, not "${text}"`);
  return within(name, parsed.value, minMs, maxMs, 'ms');
}

export function sizeOption(name: string, text: string, min: number, max: number): number {
  const parsed = parseSize(text);
  if (!parsed.ok) throw new WrongUse(`--${name} must be ${parsed.allowed}, not "${text}"`);
  return within(name, parsed.value, min, max, 'bytes');
}

export function integerOption(name: string, text: string, min: number, max: number): number {
  if (!/^\d+$/.test(text)) throw new WrongUse(`--${name} must be a whole number, not "${text}"`);
  return within(name, Number(text), min, max, '');
}

export function numberOption(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value))
    throw new WrongUse(`--${name} must be a number, not "${text}"`);
  return within(name, value, min, max, '');
}

/** Each of a comma-separated list must be one of the known words. */
export function listOption(name: string, text: string, known: readonly string[]): string[] {
  const words = text.split(',').map((word) => word.trim());
  const stranger = words.find((word) => !known.includes(word));
  if (stranger !== undefined) {
    throw new WrongUse(`--${name} must name some of ${known.join(', ')}, not "${stranger}"`);
  }
  return words;
}

function within(name: string, value: number, min: number, max: number, unit: string): number {
  if (value < min || value > max) {
    const range = `${min} to ${max} ${unit}`.trimEnd();
    throw new WrongUse(`--${name} must be ${range}, not ${value}`);
  }
  return value;
}
