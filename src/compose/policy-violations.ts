// What policies ask for and a configuration would not give their traffic: nobody who can serve it, or regions that
// would be filled beyond their target. Told before a change of policies is made. Pure.

import type { PolicyViolation } from '../config/apply-policies.ts';
import type { Config } from '../config/schema.ts';
import type { RegionReport } from '../control/source.ts';
import { eligibleRegions } from '../core/eligible-regions.ts';

type Utilisation = Readonly<Record<string, number | null>>;

/** @param utilisation requests/s over capacity as they would be; null where a capacity is not known. */
export function policyViolations(
  config: Config,
  regions: readonly RegionReport[],
  utilisation: Utilisation,
): PolicyViolation[] {
  const byId = new Map(regions.map((region) => [region.id, region]));
  const { targetUtilisation } = config.pae;
  return config.routes.flatMap((route): PolicyViolation[] => {
    if (route.shardingPolicy === undefined) return [];
    const of = { policy: route.shardingPolicy, route: route.id };
    const ids = eligibleRegions(config, route);
    const serving = ids.filter((id) => canServe(byId.get(id)));
    if (serving.length === 0) {
      const problem = `none of its regions can serve now: ${ids.map((id) => stateOf(id, byId.get(id))).join(', ')}`;
      return [{ ...of, rule: 'regions', problem }];
    }
    return serving
      .filter((id) => (utilisation[id] ?? 0) > targetUtilisation)
      .map((id) => ({
        ...of,
        rule: 'utilisation',
        problem: `${id} would run at ${percent(utilisation[id]!)} of its capacity, above pae.targetUtilisation (${percent(targetUtilisation)})`,
      }));
  });
}

const canServe = (region: RegionReport | undefined): boolean =>
  region !== undefined && region.healthy > 0 && region.weight.desired > 0;

function stateOf(id: string, region: RegionReport | undefined): string {
  if (region === undefined) return `${id} is not known`;
  if (region.override?.kind === 'drain') return `${id} is drained`;
  if (region.override?.kind === 'maintenance') return `${id} is in maintenance`;
  if (region.weight.desired === 0) return `${id} has weight 0`;
  return `${id} has no healthy server`;
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
