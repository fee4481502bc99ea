// Who may say where a request comes from. Forwarding fields, trace context, priority and location are
// believed from `trustedProxies` alone; the client's address is found by walking X-Forwarded-For or
// Forwarded from the right, past trusted hops, to the first address that is not one: the leftmost entry is
// whatever the client wrote.

import { BlockList, isIP } from 'node:net';

export class TrustedPeers {
  readonly #networks = new BlockList();
  readonly #isEmpty: boolean;

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
    const family = isIP(address);
    return family !== 0 && this.#networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
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
      const address = bareAddress(hops[i]!);
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
function bareAddress(node: string): string | undefined {
  const text = node.trim();
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1];
  const candidate = bracketed ?? (isIP(text) === 0 ? text.replace(/:\d{1,5}$/, '') : text);
  return isIP(candidate) === 0 ? undefined : candidate.toLowerCase();
}
