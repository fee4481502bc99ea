// The plan in force with what the engine says of its regions now: proxies are told anew only when something moves,
// and who asks what a change would do wants to know it of this moment.

import { z } from 'zod';
import type { EnginePort } from '../control/engine-port.ts';
import type { Plan } from '../plan/plan.ts';

const scores = z.looseObject({
  regions: z.array(
    z.looseObject({
      id: z.string(),
      risk: z.number().optional(),
      failureProbability: z.number().optional(),
      confidence: z.number().optional(),
      forecast: z.looseObject({ p50: z.number(), p90: z.number() }).optional(),
    }),
  ),
  planning: z.looseObject({
    weights: z.array(z.looseObject({ id: z.string(), actedRisk: z.number() })).default([]),
  }),
});

/** @param engine undefined, or one that does not answer: then it is what the plan said when it was made. */
export async function assessedPlan(plan: Plan, engine: EnginePort | undefined): Promise<Plan> {
  const answer = await engine?.ask({ kind: 'risk_scores', historyMs: 0, regionsOnly: true });
  const said = answer?.status === 200 ? scores.safeParse(answer.body) : undefined;
  if (said?.success !== true) return plan;
  const { regions, planning } = said.data;
  return {
    ...plan,
    regions: plan.regions.map((region) => {
      const score = regions.find(({ id }) => id === region.id);
      const actedRisk = planning.weights.find(({ id }) => id === region.id)?.actedRisk ?? region.actedRisk;
      const load = score?.forecast === undefined ? {} : { load: score.forecast };
      const { risk, failureProbability, confidence } = score ?? {};
      const assessed = risk === undefined ? {} : { risk, failureProbability, confidence };
      return { ...region, ...load, ...assessed, ...(actedRisk !== undefined && { actedRisk }) };
    }),
  };
}
