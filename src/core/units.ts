// Units as operators write them: 250ms, 64KiB, 20%. Parsers return a number in the one unit that the
// program uses (milliseconds, bytes, a share of one), or a sentence that says what is allowed.

export type Parsed =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly allowed: string };

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** `250ms`, `5s`, `2m`, `1h`, `14d`; a bare `0` is zero. Milliseconds. */
export function parseDuration(text: string): Parsed {
  const parsed = parseWithUnit(text, DURATION_MS, 'a duration such as 250ms, 5s, 2m, 1h or 14d');
  // To the microsecond: 2.01 x 1000 is not 2010 in binary, and messages show what was parsed.
  return parsed.ok ? { ok: true, value: Math.round(parsed.value * 1000) / 1000 } : parsed;
}

/** `0B`, `64KiB`, `1MiB`, `2GiB`; a bare `0` is zero. Whole bytes. */
export function parseSize(text: string): Parsed {
  const parsed = parseWithUnit(text, SIZE_BYTES, 'a size such as 512B, 64KiB or 1MiB');
  return parsed.ok ? { ok: true, value: Math.round(parsed.value) } : parsed;
}

/** `20%` or `0.2`. A share, 0..1 for 0 %..100 %; larger ones are the caller's to refuse. */
export function parseShare(text: string): Parsed {
  const allowed = 'a share such as 20% or 0.2';
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
  if (match === null) return { ok: false, allowed };
  const value = Number(match[1]) / (match[2] === '%' ? 100 : 1);
  return Number.isFinite(value) ? { ok: true, value } : { ok: false, allowed };
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>, allowed: string): Parsed {
  const trimmed = text.trim();
  if (trimmed === '0') return { ok: true, value: 0 };
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(trimmed);
  const factor = match === null ? undefined : units[match[2]!];
  if (match === null || factor === undefined) return { ok: false, allowed };
  const value = Number(match[1]) * factor;
  return Number.isSafeInteger(Math.round(value)) ? { ok: true, value } : { ok: false, allowed };
}

/** The shortest exact form of a duration: 90000 -> `90s`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = DURATION_MS[unit]!;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** The shortest exact form of a size: 65536 -> `64KiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const size = SIZE_BYTES[unit]!;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}
