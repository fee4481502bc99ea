// XXH64 written straight from Yann Collet's specification with BigInt: slow and easy to check by eye. What
// src/routing/hash.ts does in halves must come out the same.

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const u64 = (n: bigint): bigint => BigInt.asUintN(64, n);
const rotl = (n: bigint, bits: bigint): bigint => u64((n << bits) | (n >> (64n - bits)));
const round = (acc: bigint, lane: bigint): bigint => u64(rotl(u64(acc + lane * P2), 31n) * P1);

function little(bytes: Uint8Array, at: number, length: number): bigint {
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}

export function xxh64Reference(bytes: Uint8Array, seed = 0n): bigint {
  let at = 0;
  let hash: bigint;
  if (bytes.length < 32) hash = u64(seed + P5);
  else {
    const acc = [u64(seed + P1 + P2), u64(seed + P2), u64(seed), u64(seed - P1)];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let lane = 0; lane < 4; lane++) acc[lane] = round(acc[lane]!, little(bytes, at + lane * 8, 8));
    }
    hash = u64(rotl(acc[0]!, 1n) + rotl(acc[1]!, 7n) + rotl(acc[2]!, 12n) + rotl(acc[3]!, 18n));
    for (const lane of acc) hash = u64((hash ^ round(0n, lane)) * P1 + P4);
  }
  hash = u64(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) {
    hash = u64(rotl(hash ^ round(0n, little(bytes, at, 8)), 27n) * P1 + P4);
  }
  if (at + 4 <= bytes.length) {
    hash = u64(rotl(hash ^ u64(little(bytes, at, 4) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = u64(rotl(hash ^ u64(BigInt(bytes[at]!) * P5), 11n) * P1);
  hash = u64((hash ^ (hash >> 33n)) * P2);
  hash = u64((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}

/** Contract, "Hash": each part behind its length as 32 bits, big-endian. */
export function keyHashReference(parts: readonly Uint8Array[], seed = 0n): bigint {
  const pieces = parts.flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, Buffer.from(part)];
  });
  return xxh64Reference(Buffer.concat(pieces), seed);
}
