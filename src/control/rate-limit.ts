// How often one address may ask, and how often it may guess a token. Token buckets, of bounded number: the address
// that was quiet longest makes room.

import { LRUCache } from 'lru-cache';

interface Bucket {
  left: number;
  /** Monotonic milliseconds. */
  at: number;
}

const MAX_ADDRESSES = 10_000;

export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_ADDRESSES });

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** @param now monotonic milliseconds. @returns whether there was one left. */
  take(address: string, now: number): boolean {
    const bucket = this.#bucket(address, now);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

  /** Whether there is one left, without taking it. */
  has(address: string, now: number): boolean {
    return this.#bucket(address, now).left >= 1;
  }

  #bucket(address: string, now: number): Bucket {
    let bucket = this.#buckets.get(address);
    if (bucket === undefined) {
      bucket = { left: this.#burst, at: now };
      this.#buckets.set(address, bucket);
    }
    bucket.left = Math.min(this.#burst, bucket.left + ((now - bucket.at) * this.#perSecond) / 1000);
    bucket.at = now;
    return bucket;
  }
}
