// ULIDs (github.com/ulid/spec): 48 bits of time, 80 of randomness, in Crockford's base 32, so that their
// text order is their order in time. Used as incarnation of a plan's author: the greater one wins.

import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** 26 characters. Two made within one millisecond are in no particular order. */
export function ulid(clock: Clock, random: Random): string {
  let text = '';
  let time = Math.max(0, Math.floor(clock.wallMs()));
  for (let i = 0; i < 10; i++) {
    text = DIGITS[time % 32]! + text;
    time = Math.floor(time / 32);
  }
  for (let i = 0; i < 16; i++) text += DIGITS[random.u32() >>> 27]!;
  return text;
}

export const ULID_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
