// Is this URL one of ours? A server that registers the address of the manager or of a proxy would send every
// request round in a circle; Via cuts the circle, but only after it has cost a turn.

/** Hosts that mean this machine, beside loopback: its interface addresses. */
export type LocalHosts = ReadonlySet<string>;

/**
 * @param url `http://host:port`.
 * @param addresses `host:port` that we or proxies listen on; a wildcard host means every local one.
 */
export function isOwnAddress(url: string, addresses: readonly string[], local: LocalHosts): boolean {
  const given = hostAndPort(new URL(url).host, url.startsWith('https:') ? '443' : '80');
  return addresses.some((address) => {
    const own = hostAndPort(address, '');
    if (own.port !== given.port) return false;
    if (own.host === given.host) return true;
    // A connection to the address that means "any" ends at this machine.
    if (isWildcard(given.host)) return isLoopback(own.host) || isWildcard(own.host) || local.has(own.host);
    return isWildcard(own.host) && (isLoopback(given.host) || local.has(given.host));
  });
}

function hostAndPort(address: string, defaultPort: string): { readonly host: string; readonly port: string } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(address);
  const host = withoutDisguise(match?.[1] ?? match?.[2] ?? address);
  return { host: isLoopback(host) ? LOOPBACK : host, port: match?.[3] ?? defaultPort };
}

const LOOPBACK = '127.0.0.1';

/** Lower case, without the dot that ends a full name, and IPv4 as such where it is written as IPv6. */
function withoutDisguise(name: string): string {
  const host = name.toLowerCase().replace(/\.$/, '');
  // As URL writes ::ffff:127.0.0.1.
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped === null) return host.replace(/^::ffff:(?=\d+\.)/, '');
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127\./.test(host);
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
