// The bytes of a large transfer: made, not stored, and different in every block, so that a block that is
// lost, doubled or swapped on the way changes the digest.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/core/random.ts';

const BLOCK_BYTES = 64 * 1024;
const SEED = 1;
/** Naps shorter than this cost more in timers than they give in evenness. */
const NAP_MS = 5;

function* blocks(bytes: number): Generator<Buffer> {
  const random = seededRandom(SEED);
  const template = Buffer.alloc(BLOCK_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i += 4) template.writeUInt32LE(random.u32(), i);
  for (let sent = 0, index = 0; sent < bytes; sent += BLOCK_BYTES, index++) {
    // A copy each: the block before may still lie in a socket's queue.
    const block = Buffer.from(template);
    block.writeUInt32BE(index, 0);
    yield bytes - sent < BLOCK_BYTES ? block.subarray(0, bytes - sent) : block;
  }
}

export function patternStream(bytes: number): Readable {
  return Readable.from(blocks(bytes), { objectMode: false });
}

/** SHA-256 in hexadecimal of the first `bytes` of the pattern. */
export function patternDigest(bytes: number): string {
  const hash = createHash('sha256');
  for (const block of blocks(bytes)) hash.update(block);
  return hash.digest('hex');
}

export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads a stream no faster than `bytesPerSecond` (Infinity: as fast as it comes). */
export async function readSlowly(stream: Readable, bytesPerSecond: number, clock: Clock): Promise<Digest> {
  const hash = createHash('sha256');
  const startMs = clock.monotonicMs();
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    const aheadMs = (bytes * 1000) / bytesPerSecond - (clock.monotonicMs() - startMs);
    if (aheadMs > NAP_MS) await sleep(aheadMs);
  }
  return { bytes, sha256: hash.digest('hex') };
}
