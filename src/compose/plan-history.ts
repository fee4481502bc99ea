// Starts a shard manager where an earlier one stopped: with its plan, and as frozen as an operator left it. Every
// new plan is kept in the engine's history.

import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { ulid } from '../core/ulid.ts';
import { type Plan, validatePlan } from '../plan/plan.ts';
import type { EngineHost, HostOptions } from './engine-host.ts';
import { type KeptDecisions, ShardManager } from './shard-manager.ts';

const PLAN_KEY = 'plan';
const DECISIONS_KEY = 'plan/decisions';

export async function startShardManager(host: EngineHost, options: HostOptions): Promise<ShardManager> {
  const kept = await keptDecisions(host);
  let frozen = kept.frozen;
  const shards = new ShardManager(
    options.config,
    {
      engine: host.engine,
      clock: systemClock,
      log: host.log,
      incarnation: ulid(systemClock, systemRandom()),
      onPlan: (plan, isNew) => {
        if (isNew || frozen !== shards.frozen) keep(host, plan, shards.frozen);
        frozen = shards.frozen;
        options.onPlan(plan, isNew);
      },
      spans: host.planSpans,
      count: (metric, labels, by) => host.count(metric, labels, by),
    },
    options.plan ?? (await keptPlan(host)),
    kept,
  );
  shards.round();
  return shards;
}

function keep(host: EngineHost, plan: Plan, frozen: boolean): void {
  const now = systemClock.wallMs();
  host.history?.save(PLAN_KEY, now, JSON.stringify(plan));
  host.history?.save(DECISIONS_KEY, now, JSON.stringify({ frozen } satisfies KeptDecisions));
}

async function keptPlan(host: EngineHost): Promise<Plan | undefined> {
  const text = await host.history?.load(PLAN_KEY);
  if (text === undefined) return undefined;
  try {
    const verdict = validatePlan(JSON.parse(text));
    if (verdict.ok) return verdict.plan;
    host.log.error({ problem: verdict.problem }, 'the kept plan cannot be used, tables are derived anew');
  } catch (error) {
    host.log.error({ problem: (error as Error).message }, 'the kept plan cannot be read');
  }
  return undefined;
}

async function keptDecisions(host: EngineHost): Promise<KeptDecisions> {
  const text = await host.history?.load(DECISIONS_KEY);
  try {
    const kept = JSON.parse(text ?? '{}') as Partial<KeptDecisions>;
    return { frozen: kept.frozen === true };
  } catch {
    host.log.error({}, 'whether plans were frozen cannot be read; they are not');
    return { frozen: false };
  }
}
