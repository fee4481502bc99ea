// A configuration with its sharding policies put into the routes that name them. Pure; the result is a configuration
// like any other, so that whatever reads routes knows nothing of policies.

import { kilometresBetween } from '../core/distance.ts';
import type { Location } from '../core/model.ts';
import { ownOf } from '../core/own.ts';
import { crossCheck } from './cross-checks.ts';
import type { Disagreement } from './disagreement.ts';
import { formatPath, type Path } from './problem.ts';
import type { Config } from './schema.ts';
import type { ShardingPolicy } from './schema-policy.ts';
import type { RouteConfig } from './schema-route.ts';

/** By name; null = the policy of the file with this name does not apply. */
export type PolicyChanges = Readonly<Record<string, ShardingPolicy | null>>;

export type AppliedPolicies =
  | { readonly ok: true; readonly config: Config }
  | {
      readonly ok: false;
      readonly problems: readonly string[];
      readonly violations: readonly PolicyViolation[];
    };

/** What a policy asks for that cannot be had. */
export interface PolicyViolation {
  readonly policy: string;
  readonly route: string;
  /** The part of the policy: regions, geography, resources, residency, thresholds, ..., or utilisation. */
  readonly rule: string;
  readonly problem: string;
}

/** The policy that holds for a name: what was changed at run time, else what the file says. */
export function policyInForce(
  config: Config,
  changes: PolicyChanges,
  name: string,
): ShardingPolicy | undefined {
  const changed = ownOf(changes, name);
  if (changed !== undefined) return changed ?? undefined;
  const written = config.shardingPolicies.find((policy) => policy.name === name);
  if (written === undefined) return undefined;
  const { name: _, ...policy } = written;
  return policy;
}

/** @param changes made at run time; they win over the file's policies of the same name, whole. */
export function applyPolicies(config: Config, changes: PolicyChanges = {}): AppliedPolicies {
  const known = new Set(config.regions.map(({ id }) => id));
  const problems = Object.entries(changes).flatMap(([name, policy]) =>
    policy === null ? [] : unknownRegions(name, policy, known),
  );
  const violations: PolicyViolation[] = [];
  const routes = config.routes.map((route) => {
    const policy =
      route.shardingPolicy === undefined ? undefined : policyInForce(config, changes, route.shardingPolicy);
    if (policy === undefined) return route;
    const applied = withPolicy(config, route, policy);
    if ('id' in applied) return applied;
    const { rule, problem } = applied;
    violations.push({ policy: route.shardingPolicy!, route: route.id, rule, problem });
    problems.push(`shardingPolicies.${route.shardingPolicy}.${rule}: ${problem}`);
    return route;
  });
  if (problems.length > 0) return { ok: false, problems: [...new Set(problems)], violations };
  const result = { ...config, routes };
  // What the file is asked to agree on holds for what policies have made of it, too.
  const wrong = crossCheck(result).filter(({ severity }) => severity === 'error');
  if (wrong.length === 0) return { ok: true, config: result };
  return {
    ok: false,
    problems: wrong.map(({ path, sentence }) => `${formatPath(path)}: ${inWords(sentence)}`),
    violations: wrong.flatMap(({ path, sentence }) => violationAt(result, path, inWords(sentence))),
  };
}

const inWords = (sentence: Disagreement['sentence']): string =>
  typeof sentence === 'string' ? sentence : sentence((other) => formatPath(other));

/** Of the policy whose route cannot be what it has made of it. */
function violationAt({ routes }: Config, [list, at, rule]: Path, problem: string): PolicyViolation[] {
  const route = list === 'routes' && typeof at === 'number' ? routes[at] : undefined;
  if (route?.shardingPolicy === undefined) return [];
  return [{ policy: route.shardingPolicy, route: route.id, rule: String(rule ?? 'regions'), problem }];
}

/** With the policies of the file alone. Throws where loadConfig would have refused the file. */
export function withFilePolicies(config: Config): Config {
  const applied = applyPolicies(config);
  if (applied.ok) return applied.config;
  throw new Error(applied.problems.join('; '));
}

function unknownRegions(name: string, policy: ShardingPolicy, known: ReadonlySet<string>): string[] {
  return (['regions', 'residency'] as const).flatMap((key) =>
    (policy[key] ?? [])
      .filter((id) => !known.has(id))
      .map((id) => `shardingPolicies.${name}.${key}: must be regions of the configuration, given ${id}`),
  );
}

function withPolicy(
  config: Config,
  route: RouteConfig,
  policy: ShardingPolicy,
): RouteConfig | Pick<PolicyViolation, 'rule' | 'problem'> {
  const listed = policy.regions ?? route.regions ?? config.regions.map(({ id }) => id);
  const regions = listed.filter((id) => fits(config, id, policy));
  const residency = lockOf(route.residency, policy.residency ?? []);
  if (regions.length === 0) {
    return {
      rule: narrowing(config, listed, policy),
      problem: `leaves route ${route.id} no eligible region`,
    };
  }
  if (residency === undefined)
    return { rule: 'residency', problem: `shares no region with the lock of route ${route.id}` };
  if (residency.length > 0 && !regions.some((id) => residency.includes(id))) {
    const rule = policy.residency === undefined ? narrowing(config, listed, policy) : 'residency';
    return { rule, problem: `leaves route ${route.id} no eligible region within its residency` };
  }
  const isNarrowed = policy.regions !== undefined || regions.length < listed.length;
  return {
    ...route,
    policy: policy.policy ?? route.policy,
    regions: isNarrowed ? regions : route.regions,
    residency,
    priority: policy.priority ?? route.priority,
    key: policy.key ?? route.key,
    thresholds: policy.thresholds ?? route.thresholds,
    maxAddedLatency: policy.maxAddedLatency ?? route.maxAddedLatency,
  };
}

/** The part of a policy that leaves too little. */
function narrowing(
  config: Config,
  listed: readonly string[],
  { resources, geography }: ShardingPolicy,
): string {
  if (resources !== undefined && !listed.some((id) => fits(config, id, { resources }))) return 'resources';
  return geography === undefined ? 'regions' : 'geography';
}

/** A policy narrows a lock and never widens it. @returns undefined when nothing is left of it. */
function lockOf(own: readonly string[], given: readonly string[]): readonly string[] | undefined {
  if (own.length === 0 || given.length === 0) return own.length === 0 ? given : own;
  const both = own.filter((id) => given.includes(id));
  return both.length === 0 ? undefined : both;
}

function fits(
  config: Config,
  id: string,
  { geography, resources }: Pick<ShardingPolicy, 'geography' | 'resources'>,
): boolean {
  const region = config.regions.find((one) => one.id === id);
  if (region === undefined) return true;
  if (resources !== undefined && !((region.capacity ?? 0) >= resources.minCapacity)) return false;
  return geography === undefined || isWithin(region.location, geography);
}

function isWithin(
  location: Location | undefined,
  { near, withinKm }: NonNullable<ShardingPolicy['geography']>,
): boolean {
  return location !== undefined && kilometresBetween(near, location) <= withinKm;
}
