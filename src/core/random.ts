// Randomness as an argument. Deciding code draws from a `Random` that it is given: a test or a
// simulation seeds it and sees the same choices again, on every machine.

import { randomBytes } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number;
  /** Uniform 32-bit unsigned integer. */
  u32(): number;
}

/** The same sequence for the same seed (32 bits of it count), on every machine. Not for secrets. */
export function seededRandom(seed: number): Random {
  // SplitMix32 spreads the seed over the state.
  let mix = seed >>> 0;
  const split = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return xoshiro128(split(), split(), split(), split());
}

/**
 * A generator seeded by the operating system; one per thread is enough. Seeded with its whole state:
 * with 32 bits the chances would be even that two of 77,000 starts share their request ids.
 */
export function systemRandom(entropy: (size: number) => Buffer = randomBytes): Random {
  const seed = entropy(16);
  return xoshiro128(seed.readUInt32LE(0), seed.readUInt32LE(4), seed.readUInt32LE(8), seed.readUInt32LE(12));
}

/**
 * xoshiro128** (Blackman and Vigna, 2018): 4 x 32 bits of state, all of JavaScript's integer
 * operations stay within 32 bits, so a draw costs a few nanoseconds.
 */
function xoshiro128(a0: number, b0: number, c0: number, d0: number): Random {
  let a = a0 | 0;
  let b = b0 | 0;
  let c = c0 | 0;
  // An all-zero state would stay zero for ever.
  let d = d0 | 1;
  const u32 = (): number => {
    const x = Math.imul(b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  return { u32, next: () => u32() / 0x1_0000_0000 };
}

/** Sixteen lower-case hexadecimal digits (64 bits) from two draws. */
export function hex64(random: Random): string {
  return hex32(random.u32()) + hex32(random.u32());
}

function hex32(n: number): string {
  // 2^32 + n always has nine digits, the first a 1: simpler than padding.
  return (0x1_0000_0000 + n).toString(16).slice(1);
}
