// The faults of servers, with the proxy itself in front of them.

import t from 'tap';
import { serversOf } from '../rig/control.ts';
import { type Deploy, tellFaultStories } from '../rig/fault-stories.ts';
import { startFleet } from '../rig/fleet.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';

// One fleet for all stories of this file: starting processes is the dear part.
const fleet = await startFleet(t);

const deploy: Deploy = async (t, regions, { timeouts = {}, ...parts }) => {
  const proxy = await startProxy(t, proxyConfig({ regions, routes: [{ id: 'all', timeouts }], ...parts }));
  return {
    proxy,
    keeper: () => proxy,
    inFlight: async ({ url }) =>
      (await serversOf(proxy.controlUrl)).find(({ id }) => id === url)?.inFlight ?? 0,
    untilAgreed: async () => {},
  };
};

tellFaultStories(t, { fleet, deploy });
