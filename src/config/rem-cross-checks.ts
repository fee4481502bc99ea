// What keys of rem.yaml must agree on, once each is right by itself.

import type { Disagreement } from './disagreement.ts';
import { quote } from './problem.ts';
import { isLoopback, splitAddress } from './quantities.ts';
import type { RemConfig } from './schema-rem.ts';
import { checkShared } from './shared-checks.ts';

/** All disagreements of a manager's configuration. */
export function* crossCheckRem(config: RemConfig): Iterable<Disagreement> {
  yield* checkShared(config);
  yield* checkDataUrl(config);
  yield* checkServers(config);
  yield* checkExpressions(config);
}

/** A wildcard address is where we listen, not where a proxy could send to. */
function* checkDataUrl({ dataUrl, listen }: RemConfig): Iterable<Disagreement> {
  const { address } = listen[0]!;
  if (dataUrl !== '' || !/^(0\.0\.0\.0|\[::\]|unix:)/.test(address)) return;
  yield {
    path: ['dataUrl'],
    about: [['listen', 0, 'address']],
    severity: 'error',
    sentence: `must be set, since proxies cannot send to ${address}; given nothing`,
  };
}

function* checkServers({ servers, listen, control }: RemConfig): Iterable<Disagreement> {
  const own = [...listen.map(({ address }) => address), control.address];
  for (const [i, { url }] of servers.entries()) {
    // Every request would go round in a circle.
    const at = own.find((address) => isAt(url, address));
    if (at !== undefined) {
      yield {
        path: ['servers', i],
        severity: 'error',
        sentence: `must be a server's, given ${quote(url)}, where this manager listens (${at})`,
      };
    }
    const earlier = servers.findIndex((other) => other.url === url);
    if (earlier === i) continue;
    yield {
      path: ['servers', i],
      about: [['servers', earlier]],
      severity: 'error',
      sentence: (nameOf) => `must differ from ${nameOf(['servers', earlier])}, given ${quote(url)} twice`,
    };
  }
}

/** Of a wildcard only loopback is certainly this machine: what has its port elsewhere is another one. */
function isAt(url: string, address: string): boolean {
  const { hostname, port, protocol } = new URL(url);
  const target = splitAddress(`${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`);
  const own = splitAddress(address);
  if (target === null || own === null || target.port !== own.port) return false;
  return target.host === own.host || (/^(0\.0\.0\.0|::)$/.test(own.host) && isLoopback(target.host));
}

function* checkExpressions({ policy }: RemConfig): Iterable<Disagreement> {
  for (const [header, expression] of Object.entries(policy.requireHeader)) {
    try {
      new RegExp(expression, 'u');
    } catch (error) {
      yield {
        path: ['policy', 'requireHeader', header],
        severity: 'error',
        sentence: `must be a regular expression, given ${quote(expression)}: ${(error as Error).message}`,
      };
    }
  }
}
