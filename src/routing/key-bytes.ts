// The canonical bytes of a shard key: for each part its length as 32 bits, big-endian, then the part
// itself (contract: "Hash"). Lengths keep ("ab","c") and ("a","bc") apart. One buffer per thread is
// reused for every request; it is never logged and holds one key at a time.

import { newU64, SEED_ZERO, type U64, xxh64 } from './hash.ts';

// Starts where ordinary keys fit; grows to the largest key that header and body limits let through.
const INITIAL_BYTES = 1024;

export class KeyBytes {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #length = 0;
  #parts = 0;

  /** Number of parts added since the last reset; 0 = there is no key. */
  get parts(): number {
    return this.#parts;
  }

  reset(): void {
    this.#length = 0;
    this.#parts = 0;
  }

  /** Adds a part whose characters stand for one byte each, as header values do. */
  addLatin1(text: string): void {
    const length = text.length;
    this.#begin(length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i);
    this.#length = at;
  }

  addBytes(part: Uint8Array): void {
    this.#begin(part.length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }

  /** Hash of the parts so far under `seed`; written to `out` and returned. */
  hash(seed: Readonly<U64>, out: U64): U64 {
    return xxh64(this.#bytes, this.#length, seed, out);
  }

  /** Whether the first part begins with `prefix`; false when there is no part. */
  firstPartStartsWith(prefix: Uint8Array): boolean {
    if (this.#parts === 0) return false;
    const bytes = this.#bytes;
    const length = bytes[0]! * 0x1000000 + bytes[1]! * 0x10000 + bytes[2]! * 0x100 + bytes[3]!;
    return length >= prefix.length && prefix.every((byte, i) => bytes[4 + i] === byte);
  }

  /** A copy of the canonical bytes, for tests and for shifts that hash a key a second time later. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #begin(partLength: number): void {
    this.#reserve(partLength + 4);
    const bytes = this.#bytes;
    const at = this.#length;
    bytes[at] = partLength >>> 24;
    bytes[at + 1] = partLength >>> 16;
    bytes[at + 2] = partLength >>> 8;
    bytes[at + 3] = partLength;
    this.#length = at + 4;
    this.#parts += 1;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Contract form of a key's hash: XXH64 with seed 0. For tools and tests; the walk uses KeyBytes. */
export function hashOfParts(parts: readonly Uint8Array[]): U64 {
  const key = new KeyBytes();
  for (const part of parts) key.addBytes(part);
  return key.hash(SEED_ZERO, newU64());
}
