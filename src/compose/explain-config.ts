// Explains a request by a configuration alone, as a proxy would decide it right after its start with every
// server healthy and no plan on disk.

import { withFilePolicies } from '../config/apply-policies.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { seededRandom } from '../core/random.ts';
import { tokenVerifier } from '../proxy/token-verifier.ts';
import { buildSnapshotAtOnce } from '../routing/build-snapshot.ts';
import { idleContext } from '../routing/decide.ts';
import type { LiveView } from '../routing/eligibility.ts';
import { type ExplainRequest, type Explanation, explain } from '../routing/explain.ts';
import { readUnverifiedClaim } from '../routing/shard-key.ts';
import type { Snapshot } from '../routing/snapshot.ts';
import { SharedTables } from '../state/shared-tables.ts';
import { basePlan } from './base-plan.ts';
import { snapshotInput } from './routing-publisher.ts';

export function explainFromConfig(config: Config, request: ExplainRequest): Explanation {
  const snapshot = snapshotOf(withFilePolicies(config));
  return explain(
    snapshot,
    healthyView(snapshot),
    request,
    idleContext(seededRandom(1), readUnverifiedClaim, tokenVerifier()),
  );
}

function snapshotOf(config: Config): Snapshot {
  const tables = new SharedTables();
  const at = new Date(systemClock.wallMs()).toISOString();
  const plan = basePlan(config, { previous: undefined }, tables, { incarnation: 'none', generation: 1, at });
  const urls = config.regions.flatMap((region) => (region.servers ?? []).map(({ url }) => url));
  const slots = Object.fromEntries(urls.map((url, slot) => [url, { slot, incarnation: 1 }]));
  return buildSnapshotAtOnce(
    snapshotInput(config, plan, tables, {
      configGeneration: 1,
      slots,
      policies: {},
      roundTrips: {},
      toMonotonic: (ms) => ms,
    }),
  );
}

function healthyView(snapshot: Snapshot): LiveView {
  const servers = snapshot.regions.map((region) => region.servers);
  const counts = Uint16Array.from(servers, (all) => all.length);
  return {
    version: 0,
    registered: counts,
    healthy: counts,
    servers,
    nearby: null,
    present: servers,
    staleSince: Number.POSITIVE_INFINITY,
    setViews: [],
    reachViews: new Map(),
  };
}
