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

/** Everything on; each feature off in turn; everything off. */
export function foreshardVariants(features: readonly Feature[]): ProxyDefinition[] {
  const everything = new Set(features.map((feature) => feature.id));
  return [
    foreshard(HEADLINE, features, new Set()),
    ...features.map((feature) => foreshard(`${HEADLINE}-no-${feature.id}`, features, new Set([feature.id]))),
    foreshard(`${HEADLINE}-bare`, features, everything),
  ];
}
