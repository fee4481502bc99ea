// Where the proxies of a region listen, as they said with their last poll: a server that registers one of these
// addresses would send every request round in a circle.

interface Said {
  readonly addresses: readonly string[];
  /** Monotonic milliseconds. */
  readonly at: number;
}

// A proxy that was cut off for a while must not be taken for a server meanwhile; one that has moved must not
// keep its address from servers for ever.
const FORGOTTEN_MS = 5 * 60_000;
// More than poll any one region.
const MAX_PROXIES = 1000;

export class ProxyAddresses {
  readonly #proxies = new Map<string, Said>();

  /** @param now monotonic milliseconds, as everywhere here. */
  say(proxy: string, addresses: readonly string[], now: number): void {
    this.#proxies.delete(proxy);
    this.#proxies.set(proxy, { addresses, at: now });
    if (this.#proxies.size <= MAX_PROXIES) return;
    const [oldest] = this.#proxies.keys();
    this.#proxies.delete(oldest!);
  }

  list(now: number): string[] {
    for (const [proxy, { at }] of this.#proxies) {
      if (now - at >= FORGOTTEN_MS) this.#proxies.delete(proxy);
    }
    return [...this.#proxies.values()].flatMap(({ addresses }) => addresses);
  }
}
