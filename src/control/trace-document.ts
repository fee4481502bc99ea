// A kept trace as the API shows it: the steps of the walk in the order in which they were taken, each with what
// it had, what it removed and why, and what it chose.

import type { TracedDecision, TracedRegion, TraceRecord } from '../proxy/trace-record.ts';

/** What a plan said of a region when the request was decided. */
export interface PlannedRegion {
  readonly id: string;
  readonly risk?: number | undefined;
  readonly failureProbability?: number | undefined;
}

/** @param planned regions of the plan that the request was decided on; undefined when it is too old to be known. */
export function traceDocument(record: TraceRecord, planned: readonly PlannedRegion[] | undefined): object {
  const { decision, attempts, at, keptAt: _, route, ...rest } = record;
  return {
    ...rest,
    at: new Date(at).toISOString(),
    route: route ?? null,
    region: attempts.at(-1)?.region ?? decision?.region ?? null,
    steps: [
      { stage: 'route', chosen: route ?? null, ...(route === undefined && { reason: record.reason }) },
      ...(decision === undefined ? [] : decisionSteps(decision, planned)),
      ...attempts.map((attempt) => ({ stage: 'attempt', ...attempt })),
      { stage: 'answer', status: record.status, reason: record.reason, atMs: record.durationMs },
    ],
    ...(decision?.inputs !== undefined && { inputs: decision.inputs }),
  };
}

function decisionSteps(decision: TracedDecision, planned: readonly PlannedRegion[] | undefined): object[] {
  const { regions } = decision;
  const inTable = regions.filter((region) => region.removed?.stage !== 'route');
  const filtered = inTable.filter((region) => region.removed?.stage !== 'filter');
  const usable = filtered.filter((region) => region.removed?.stage !== 'gate');
  return [
    { stage: 'key', kinds: decision.keyKinds, result: decision.key },
    { stage: 'shard', chosen: decision.shard, table: decision.table, isMoving: decision.isMoving },
    { stage: 'eligible', candidates: namesOf(regions), removed: removedAt('route', regions) },
    { stage: 'filter', candidates: namesOf(inTable), removed: removedAt('filter', regions) },
    {
      stage: 'gate',
      candidates: namesOf(filtered),
      removed: removedAt('gate', regions),
      isPanic: decision.isPanic,
    },
    {
      stage: 'pick',
      policy: decision.policy,
      candidates: usable.map((region) => weighed(region, planned)),
      chosen: decision.picked,
    },
    {
      stage: 'guard',
      choice: decision.choice,
      utilisation: utilisationOf(decision),
      chosen: decision.region,
    },
  ];
}

const namesOf = (regions: readonly TracedRegion[]): string[] => regions.map(({ region }) => region);

function removedAt(stage: 'route' | 'filter' | 'gate', regions: readonly TracedRegion[]): object[] {
  return regions
    .filter(({ removed }) => removed?.stage === stage)
    .map(({ region, removed }) => ({ region, reason: removed!.reason }));
}

function weighed(
  { region, baseWeight, weight, keeps, healthy, registered }: TracedRegion,
  planned: readonly PlannedRegion[] | undefined,
): object {
  const plan = planned?.find(({ id }) => id === region);
  return {
    region,
    baseWeight,
    weight,
    keeps,
    healthy,
    registered,
    ...(plan?.risk !== undefined && { risk: plan.risk }),
    ...(plan?.failureProbability !== undefined && { failureProbability: plan.failureProbability }),
  };
}

/** Of the regions whose load the decision looked at, where it is known. */
function utilisationOf({ inputs, regions }: TracedDecision): object | undefined {
  if (inputs === undefined || inputs.utilisation.length === 0) return undefined;
  const known = regions.flatMap(({ region }, i) => {
    const utilisation = inputs.utilisation[i];
    return utilisation === null || utilisation === undefined ? [] : [[region, utilisation] as const];
  });
  return known.length === 0 ? undefined : Object.fromEntries(known);
}
