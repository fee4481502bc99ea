// Listen addresses between configuration, workers and people.

import { availableParallelism, networkInterfaces } from 'node:os';
import { splitAddress } from '../config/quantities.ts';
import type { Config } from '../config/schema.ts';
import type { LocalHosts } from '../region/own-address.ts';
import type { ListenPlan } from './messages.ts';

/** @param address valid, as the configuration has checked. */
export function listenPlan(address: string): ListenPlan {
  return address.startsWith('unix:') ? { path: address.slice('unix:'.length) } : splitAddress(address)!;
}

/** `http://host:port` or `unix:/path`. */
export function listenUrl(plan: ListenPlan): string {
  if ('path' in plan) return `unix:${plan.path}`;
  return `http://${plan.host.includes(':') ? `[${plan.host}]` : plan.host}:${plan.port}`;
}

/** `host:port` of those that are `http://host:port`: what a server may not register as its own. */
export function hostsAndPorts(urls: readonly (string | undefined)[]): string[] {
  return urls.flatMap((url) => (url?.startsWith('http://') ? [url.slice('http://'.length)] : []));
}

/** Addresses of this machine's interfaces. */
export function localHosts(): LocalHosts {
  return new Set(
    Object.values(networkInterfaces()).flatMap((cards) => (cards ?? []).map(({ address }) => address)),
  );
}

/** Threads of the data plane. */
export function workerCount(config: Config): number {
  // A unix path can be bound once: one worker takes it.
  if (config.listen.some(({ address }) => address.startsWith('unix:'))) return 1;
  return config.workers === 'auto' ? availableParallelism() : config.workers;
}
