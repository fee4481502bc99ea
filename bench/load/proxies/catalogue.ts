// The proxies that the bench knows, in the order in which tables show them.

import { caddy } from './caddy.ts';
import type { ProxyDefinition } from './definition.ts';
import { type Feature, foreshard } from './foreshard.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import { httpProxy3, nodeHttpRequest, nodeTcpPipe, nodeUndiciBare } from './node-rivals.ts';

export const HEADLINE = 'foreshard';

export const PROXY_IDS: readonly string[] = [
  'nginx',
  'haproxy',
  'caddy',
  'http-proxy-3',
  'node-tcp-pipe',
  'node-undici-bare',
  'node-http-request',
  HEADLINE,
];

/** Rivals and references first, Foreshard with all `features` on last. */
export function knownProxies(features: readonly Feature[]): ProxyDefinition[] {
  return [
    nginx,
    haproxy,
    caddy,
    httpProxy3,
    nodeTcpPipe,
    nodeUndiciBare,
    nodeHttpRequest,
    foreshard(HEADLINE, features, new Set()),
  ];
}

/** Foreshard with all features on but those of `off`. */
export function foreshardVariant(features: readonly Feature[], off: ReadonlySet<string>): ProxyDefinition {
  return foreshard(off.size === 0 ? HEADLINE : `${HEADLINE}-without`, features, off);
}
