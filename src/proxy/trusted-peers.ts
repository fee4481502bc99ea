// Who may say where a request comes from. Forwarding fields, trace context, priority and location are
// believed from `trustedProxies` alone; the client's address is found by walking X-Forwarded-For or
// Forwarded from the right, past trusted hops, to the first address that is not one: the leftmost entry is
// whatever the client wrote.

import { BlockList, isIP } from 'node:net';

// Asking the list costs a microsecond and more, and one request asks several times: for its peer and for each
// hop that it names. Enough for the proxies before a manager and for the clients of a busy second.
const MAX_KNOWN = 1024;

export class TrustedPeers {
  readonly #networks = new BlockList();
  readonly #isEmpty: boolean;
  /** What the list has said of addresses seen lately; nothing that is no address. */
  readonly #known = new Map<string, boolean>();

  /** @param cidrs `10.0.0.0/8`, `::1/128` or single addresses; validated by the configuration. */
  constructor(cidrs: readonly string[]) {
    this.#isEmpty = cidrs.length === 0;
    for (const cidr of cidrs) {
      const [address = '', bits] = cidr.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#networks.addAddress(address, family);
      else this.#networks.addSubnet(address, Number(bits), family);
    }
  }

  includes(address: string): boolean {
    if (this.#isEmpty) return false;
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const family = isIP(address);
    if (family === 0) return false;
    const isTrusted = this.#networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
    // Whoever sends with ever new addresses costs the others a look at the list, and no memory.
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(address, isTrusted);
    return isTrusted;
  }

  /**
   * Address of the client behind trusted hops.
   * @param forwardedFor X-Forwarded-For, joined; @param forwarded RFC 7239, joined; the former wins.
   */
  clientAddress(peer: string, forwardedFor: string, forwarded: string): string {
    if (!this.includes(peer)) return peer;
    const hops = forwardedFor !== '' ? forwardedFor.split(',') : forwardedNodes(forwarded);
    let client = peer;
    for (let i = hops.length - 1; i >= 0; i--) {
      const node = hops[i]!.trim();
      const address = this.#known.has(node) ? node : bareAddress(node);
      // Something that is no address (`unknown`, an obfuscated name) ends what can be followed.
      if (address === undefined) return client;
      client = address;
      if (!this.includes(address)) return client;
    }
    return client;
  }
}

function forwardedNodes(forwarded: string): string[] {
  if (forwarded === '') return [];
  return forwarded.split(',').map((element) => /(?:^|;)\s*for=("?)([^";,]*)\1/i.exec(element)?.[2] ?? '');
}

/** `1.2.3.4`, `1.2.3.4:5`, `[::1]:5` or `::1` -> the address; undefined when it is none. */
function bareAddress(text: string): string | undefined {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1];
  const candidate = bracketed ?? (isIP(text) === 0 ? text.replace(/:\d{1,5}$/, '') : text);
  return isIP(candidate) === 0 ? undefined : candidate.toLowerCase();
}
