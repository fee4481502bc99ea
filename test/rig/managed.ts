// A site with a manager in front of the servers of each region, for the stories of faults.

import { type Deploy, untilHealthy } from './fault-stories.ts';
import { proxyConfig, startProxy } from './proxy.ts';
import { QUICK_CHECKS, regionSeen, startRem } from './rem.ts';
import { until } from './traffic.ts';

const PATIENCE_MS = 20_000;

/** The settings are the managers'; the proxy's are its defaults, with quick checks. */
export const deployManaged: Deploy = async (t, regions, parts) => {
  const rems = await Promise.all(regions.map(({ id, servers }) => startRem(t, id, { servers, ...parts })));
  const named = rems.map(({ region, api }) => ({ id: region, rem: api }));
  const proxy = await startProxy(t, proxyConfig({ regions: named, ...QUICK_CHECKS }));
  const of = (region: string) => rems.find((rem) => rem.region === region)!;
  const untilAgreed = (region: string): Promise<void> =>
    untilHealthy(
      async () => (await regionSeen(proxy, region)).healthy,
      async () => (await of(region).report()).servers.filter(({ health }) => health !== 'unhealthy').length,
    );
  for (const { id, servers } of regions)
    await until(
      async () => (await regionSeen(proxy, id)).registered === servers.length,
      PATIENCE_MS,
      'the proxy has heard the manager',
    );
  return {
    proxy,
    keeper: (region) => of(region).process,
    inFlight: async ({ region, url }) =>
      (await of(region).report()).servers.find((server) => server.url === url)?.in_flight ?? 0,
    untilAgreed,
  };
};
