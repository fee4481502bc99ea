// Health cells -> the view that deciding reads: counts and usable servers per region. Made anew only when
// the main thread has published a change; between changes every request shares one.

import type { LiveView } from '../routing/eligibility.ts';
import type { Region, Server, Snapshot } from '../routing/snapshot.ts';
import type { LiveCells } from './live-cells.ts';

export function buildLiveView(snapshot: Snapshot, cells: LiveCells, version: number): LiveView {
  const usable = snapshot.regions.map((region) => usableServers(region, cells));
  return {
    version,
    registered: Uint16Array.from(snapshot.regions, (region) => region.servers.length),
    healthy: Uint16Array.from(usable, (servers) => servers.length),
    // Panic spreads over everybody: with none usable the candidates are all that are registered.
    servers: usable.map((servers, i) => (servers.length > 0 ? servers : snapshot.regions[i]!.servers)),
    setViews: [],
  };
}

function usableServers(region: Region, cells: LiveCells): readonly Server[] {
  const usable = region.servers.filter((server) => isUsable(server, cells));
  return usable.length === region.servers.length ? region.servers : usable;
}

/** Unknown counts as usable: a server is believed until a check or its traffic says otherwise. */
function isUsable(server: Server, cells: LiveCells): boolean {
  if (cells.isEjected(server.slot)) return false;
  switch (cells.health(server.slot)) {
    case 'unhealthy':
    case 'draining':
    case 'maintenance':
      return false;
    case 'unknown':
    case 'healthy':
    case 'degraded':
      return true;
  }
}
