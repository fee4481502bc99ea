// What an engine is started with: a change of it starts the engine anew, anything else is followed while it runs.

import type { Config } from '../config/schema.ts';

/** The part of a configuration that models, sources and the history belong to. */
export function modelled(config: Config): object {
  const { pae, regions, state, log, paeUpdateInterval } = config;
  const places = regions.map(({ id, capacity, location, servers = [] }) => ({
    id,
    capacity,
    location,
    scraped: servers.map(({ url, metrics }) => ({ url, metrics })),
  }));
  const answerLimit = answerLimitMs(config) ?? null;
  return { pae, places, path: state.path, level: log.level, paeUpdateInterval, answerLimit };
}

/**
 * Milliseconds after which no route waits for an answer any longer: what is slower is an error to every client.
 * Undefined where one waits for ever.
 */
export function answerLimitMs({ routes }: Pick<Config, 'routes'>): number | undefined {
  const limits = routes.map(({ timeouts }) => timeouts.response);
  return limits.length === 0 || limits.includes(0) ? undefined : Math.max(...limits);
}
