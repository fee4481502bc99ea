// Health cells -> the view that deciding reads: counts and usable servers per region. Made anew only when
// the main thread has published a change; between changes every request shares one.

import type { LiveView } from '../routing/eligibility.ts';
import type { Region, Server, Snapshot } from '../routing/snapshot.ts';
import type { LiveCells } from './live-cells.ts';

export function buildLiveView(snapshot: Snapshot, cells: LiveCells, version: number): LiveView {
  const usable = snapshot.regions.map((region) => serversThat(isUsable, region, cells));
  return {
    version,
    registered: Uint16Array.from(snapshot.regions, (region) => region.servers.length),
    healthy: Uint16Array.from(usable, (servers) => servers.length),
    servers: usable,
    present: snapshot.regions.map((region) => serversThat(isPresent, region, cells)),
    staleSince: cells.staleSince,
    setViews: [],
  };
}

type ServerTest = (server: Server, cells: LiveCells) => boolean;

function serversThat(passes: ServerTest, region: Region, cells: LiveCells): readonly Server[] {
  const servers = region.servers.filter((server) => passes(server, cells));
  return servers.length === region.servers.length ? region.servers : servers;
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

/** Humans come before health: what they have taken out is not asked, however few are left. */
function isPresent(server: Server, cells: LiveCells): boolean {
  const health = cells.health(server.slot);
  return health !== 'draining' && health !== 'maintenance';
}
