// XXH64 (Yann Collet's specification, xxhash_spec.md) over 32-bit halves. A key's place is part of the
// contract: every proxy, the engine and the simulator must agree on it, so the function is pinned by
// golden vectors. Own code, because the packages return a BigInt or copy into WebAssembly, either of
// which costs more than hashing a key of ordinary length; this one allocates nothing.

/** An unsigned 64-bit number as two unsigned halves. */
export interface U64 {
  hi: number;
  lo: number;
}

export const newU64 = (): U64 => ({ hi: 0, lo: 0 });

/**
 * `value / 2^64` cut to 53 bits, in [0, 1): the place of a hash on the unit interval. Cut, because the
 * nearest double of the largest hashes is 1, and they would never be below a share of 100 %.
 */
export function fractionOf(value: Readonly<U64>): number {
  return (value.hi * 0x20_0000 + (value.lo >>> 11)) / 0x20_0000_0000_0000;
}

const P1_HI = 0x9e3779b1 | 0;
const P1_LO = 0x85ebca87 | 0;
const P2_HI = 0xc2b2ae3d | 0;
const P2_LO = 0x27d4eb4f | 0;
const P3_HI = 0x165667b1 | 0;
const P3_LO = 0x9e3779f9 | 0;
const P4_HI = 0x85ebca77 | 0;
const P4_LO = 0xc2b2ae63 | 0;
const P5_HI = 0x27d4eb2f | 0;
const P5_LO = 0x165667c5 | 0;

// Result register of the 64-bit helpers below: returning pairs would allocate. Halves are
// kept signed: an unsigned one beyond 2^31 is no small integer to V8 and would be boxed at every write.
let rHi = 0;
let rLo = 0;

function mul(aHi: number, aLo: number, bHi: number, bLo: number): void {
  const a0 = aLo & 0xffff;
  const a1 = aLo >>> 16;
  const b0 = bLo & 0xffff;
  const b1 = bLo >>> 16;
  const low = a0 * b0;
  const mid = a1 * b0 + (low >>> 16);
  const mid2 = a0 * b1 + (mid & 0xffff);
  const high = a1 * b1 + (mid >>> 16) + (mid2 >>> 16);
  rLo = Math.imul(aLo, bLo);
  rHi = (high + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0;
}

function rotateLeft(hi: number, lo: number, bits: number): void {
  if (bits === 32) {
    rHi = lo;
    rLo = hi;
  } else if (bits < 32) {
    rHi = (hi << bits) | (lo >>> (32 - bits));
    rLo = (lo << bits) | (hi >>> (32 - bits));
  } else {
    rHi = (lo << (bits - 32)) | (hi >>> (64 - bits));
    rLo = (hi << (bits - 32)) | (lo >>> (64 - bits));
  }
}

function add(aHi: number, aLo: number, bHi: number, bLo: number): void {
  const low = (aLo >>> 0) + (bLo >>> 0);
  rLo = low | 0;
  rHi = (aHi + bHi + (low > 0xffff_ffff ? 1 : 0)) | 0;
}

/** One lane step: acc = rotl(acc + lane * P2, 31) * P1. */
function round(accHi: number, accLo: number, laneHi: number, laneLo: number): void {
  mul(laneHi, laneLo, P2_HI, P2_LO);
  add(accHi, accLo, rHi, rLo);
  rotateLeft(rHi, rLo, 31);
  mul(rHi, rLo, P1_HI, P1_LO);
}

function readU32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

// The four accumulators of the long form, as pairs: [v1hi, v1lo, v2hi, ...].
const lanes = new Int32Array(8);

function startLanes(seedHi: number, seedLo: number): void {
  add(seedHi, seedLo, P1_HI, P1_LO);
  add(rHi, rLo, P2_HI, P2_LO);
  lanes[0] = rHi;
  lanes[1] = rLo;
  add(seedHi, seedLo, P2_HI, P2_LO);
  lanes[2] = rHi;
  lanes[3] = rLo;
  lanes[4] = seedHi;
  lanes[5] = seedLo;
  // seed - P1 = seed + (2^64 - P1)
  add(seedHi, seedLo, ~P1_HI, (~P1_LO + 1) | 0);
  lanes[6] = rHi;
  lanes[7] = rLo;
}

const LANE_TURNS = [1, 7, 12, 18] as const;

function joinLanes(): void {
  let hi = 0;
  let lo = 0;
  for (let lane = 0; lane < 4; lane++) {
    rotateLeft(lanes[lane * 2]!, lanes[lane * 2 + 1]!, LANE_TURNS[lane]!);
    add(hi, lo, rHi, rLo);
    hi = rHi;
    lo = rLo;
  }
  for (let lane = 0; lane < 4; lane++) {
    round(0, 0, lanes[lane * 2]!, lanes[lane * 2 + 1]!);
    mul(hi ^ rHi, lo ^ rLo, P1_HI, P1_LO);
    add(rHi, rLo, P4_HI, P4_LO);
    hi = rHi;
    lo = rLo;
  }
}

/** Folds whole 32-byte stripes into the register; returns how many bytes that were. */
function hashStripes(bytes: Uint8Array, length: number, seedHi: number, seedLo: number): number {
  if (length < 32) {
    add(seedHi, seedLo, P5_HI, P5_LO);
    return 0;
  }
  startLanes(seedHi, seedLo);
  let at = 0;
  for (; at + 32 <= length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const from = at + lane * 8;
      round(lanes[lane * 2]!, lanes[lane * 2 + 1]!, readU32(bytes, from + 4), readU32(bytes, from));
      lanes[lane * 2] = rHi;
      lanes[lane * 2 + 1] = rLo;
    }
  }
  joinLanes();
  return at;
}

function hashTail(bytes: Uint8Array, length: number, from: number): void {
  let hi = rHi;
  let lo = rLo;
  let at = from;
  for (; at + 8 <= length; at += 8) {
    round(0, 0, readU32(bytes, at + 4), readU32(bytes, at));
    rotateLeft(hi ^ rHi, lo ^ rLo, 27);
    mul(rHi, rLo, P1_HI, P1_LO);
    add(rHi, rLo, P4_HI, P4_LO);
    hi = rHi;
    lo = rLo;
  }
  if (at + 4 <= length) {
    mul(0, readU32(bytes, at), P1_HI, P1_LO);
    rotateLeft(hi ^ rHi, lo ^ rLo, 23);
    mul(rHi, rLo, P2_HI, P2_LO);
    add(rHi, rLo, P3_HI, P3_LO);
    hi = rHi;
    lo = rLo;
    at += 4;
  }
  for (; at < length; at++) {
    mul(0, bytes[at]!, P5_HI, P5_LO);
    rotateLeft(hi ^ rHi, lo ^ rLo, 11);
    mul(rHi, rLo, P1_HI, P1_LO);
    hi = rHi;
    lo = rLo;
  }
  avalanche(hi, lo);
}

function avalanche(hi: number, lo: number): void {
  // h ^= h >>> 33; the upper half falls into the lower one, shifted by one more bit.
  mul(hi, lo ^ (hi >>> 1), P2_HI, P2_LO);
  // h ^= h >>> 29
  const midHi = rHi ^ (rHi >>> 29);
  const midLo = rLo ^ ((rLo >>> 29) | (rHi << 3));
  mul(midHi, midLo, P3_HI, P3_LO);
  // h ^= h >>> 32
  rLo = rLo ^ rHi;
}

/** XXH64 of the first `length` bytes under `seed`, written to `out`. */
export function xxh64(bytes: Uint8Array, length: number, seed: Readonly<U64>, out: U64): U64 {
  const from = hashStripes(bytes, length, seed.hi | 0, seed.lo | 0);
  add(rHi, rLo, 0, length);
  hashTail(bytes, length, from);
  out.hi = rHi >>> 0;
  out.lo = rLo >>> 0;
  return out;
}

export const SEED_ZERO: Readonly<U64> = Object.freeze({ hi: 0, lo: 0 });

const encoder = new TextEncoder();

/** XXH64 of a text's UTF-8 form: names of regions, ids of shifts. Not for the hot path. */
export function xxh64Text(text: string, seed: Readonly<U64> = SEED_ZERO): U64 {
  const bytes = encoder.encode(text);
  return xxh64(bytes, bytes.length, seed, newU64());
}
