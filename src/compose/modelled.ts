// What an engine is started with: a change of it starts the engine anew, anything else is followed while it runs.

import type { Config } from '../config/schema.ts';

/** The part of a configuration that models, sources and the history belong to. */
export function modelled({ pae, regions, state, log, paeUpdateInterval }: Config): object {
  const places = regions.map(({ id, capacity, location, servers = [] }) => ({
    id,
    capacity,
    location,
    scraped: servers.map(({ url, metrics }) => ({ url, metrics })),
  }));
  return { pae, places, path: state.path, level: log.level, paeUpdateInterval };
}
