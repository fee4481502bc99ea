// Health cells -> the view that deciding reads: counts and usable servers per region. Made anew only when
// the main thread has published a change; between changes every request shares one.

import { healthFactor, type LiveView } from '../routing/eligibility.ts';
import type { Region, Server, Snapshot } from '../routing/snapshot.ts';
import type { LiveCells } from './live-cells.ts';

export function buildLiveView(snapshot: Snapshot, cells: LiveCells, version: number): LiveView {
  const usable = snapshot.regions.map((region) => serversThat(({ slot }) => isUsable(slot, cells), region));
  const { zone } = snapshot.settings;
  return {
    version,
    registered: Uint16Array.from(
      snapshot.regions,
      (region) => cells.reported(region.index)?.registered ?? region.servers.length,
    ),
    healthy: Uint16Array.from(snapshot.regions, (region, i) =>
      healthyBehind(usable[i]!.length, cells.reported(region.index)),
    ),
    servers: usable,
    nearby: zone === '' ? null : snapshot.regions.map((region, i) => nearbyServers(region, usable[i]!, zone)),
    present: snapshot.regions.map((region) => serversThat(({ slot }) => isPresent(slot, cells), region)),
    staleSince: cells.staleSince,
    setViews: [],
    reachViews: new Map(),
  };
}

/** Servers of the zone, while they can carry what is the zone's (as a region keeps its own share). */
function nearbyServers(region: Region, usable: readonly Server[], zone: string): readonly Server[] {
  const near = usable.filter((server) => server.zone === zone);
  const registered = region.servers.filter((server) => server.zone === zone).length;
  return healthFactor(near.length, registered) < 1 ? usable : near;
}

/**
 * Healthy servers of a region. One with a manager has one server for us, the manager's data path: its report says how
 * many stand behind it, and what we see ourselves through the data path has the last word in both directions. No way
 * through is no server, and a way through is one at least.
 * @param usable servers that we see ourselves. @param reported by the manager; undefined where none is heard.
 */
export function healthyBehind(usable: number, reported: { readonly healthy: number } | undefined): number {
  return reported === undefined || usable === 0 ? usable : Math.max(1, reported.healthy);
}

function serversThat(passes: (server: Server) => boolean, region: Region): readonly Server[] {
  const servers = region.servers.filter(passes);
  return servers.length === region.servers.length ? region.servers : servers;
}

/** Unknown counts as usable: a server is believed until a check or its traffic says otherwise. */
export function isUsable(slot: number, cells: LiveCells): boolean {
  if (cells.isEjected(slot)) return false;
  switch (cells.health(slot)) {
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
function isPresent(slot: number, cells: LiveCells): boolean {
  const health = cells.health(slot);
  return health !== 'draining' && health !== 'maintenance';
}
