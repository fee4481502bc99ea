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
    const isLocal = given.host === '127.0.0.1' || local.has(given.host);
    return isLocal && (isWildcard(own.host) || (isLoopbackName(own.host) && isLoopbackName(given.host)));
  });
}

function hostAndPort(address: string, defaultPort: string): { readonly host: string; readonly port: string } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(address);
  const host = match?.[1] ?? match?.[2] ?? address;
  return { host: isLoopbackName(host) ? '127.0.0.1' : host.toLowerCase(), port: match?.[3] ?? defaultPort };
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
