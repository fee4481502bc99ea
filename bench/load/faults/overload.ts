// F19: three times the load that the servers can take. What fits must be served, the rest refused at once, and
// when the rush is over all must be well again soon.

import { setTimeout as sleep } from 'node:timers/promises';
import type { LineChart } from '../../report/chart.ts';
import { formatFigure, formatMicros } from '../../report/table.ts';
import type { SenderInterval } from '../sender/plan.ts';
import { FaultServers } from './fault-servers.ts';
import { type AppliedLoad, applyLoad, countLost, countOther } from './load.ts';
import {
  atLeast,
  atMost,
  exactly,
  type Scenario,
  type ScenarioResult,
  type ScenarioRig,
  told,
} from './scenario.ts';

/** Two servers of this speed: together below what proxy and sender can carry on a small machine. */
const SPEED = { delay: 8, places: 4 } as const;
const PEAK_CONNECTIONS = 64;
const OVERLOAD = 3;
/** Share of the peak that is asked for all the time; the rush comes on top. */
const STEADY_SHARE = 0.5;
const STEADY_CONNECTIONS = 512;
const RUSH_CONNECTIONS = 1024;
const LEAD_MS = 3000;
const TAIL_MS = 6000;

export const overload: Scenario = { id: 'F19', title: 'Three times the load that the servers can take', run };

async function run(rig: ScenarioRig): Promise<ScenarioResult> {
  const { clock } = rig;
  const rushMs = rig.quick ? 10_000 : 60_000;
  const servers = await FaultServers.start(2, rig.folder, clock);
  rig.atEnd(() => servers.stop());
  await servers.setAll(SPEED);
  const proxy = await rig.startForeshard({ east: servers.ports.slice(0, 1), west: servers.ports.slice(1) });

  rig.show('F19: measuring the peak');
  await applyLoad(proxy, { connections: PEAK_CONNECTIONS, durationMs: 2000 }, clock);
  const best = await applyLoad(proxy, { connections: PEAK_CONNECTIONS, durationMs: 4000 }, clock);
  const peak = (best.result.counts.answered * 1000) / best.result.elapsedMs;

  rig.show(`F19: ${formatFigure(OVERLOAD * peak)}/s for ${rushMs / 1000} s`);
  const steady = applyLoad(
    proxy,
    { connections: STEADY_CONNECTIONS, rate: STEADY_SHARE * peak, durationMs: LEAD_MS + rushMs + TAIL_MS },
    clock,
  );
  await sleep(LEAD_MS);
  const rush = await applyLoad(
    proxy,
    { connections: RUSH_CONNECTIONS, rate: (OVERLOAD - STEADY_SHARE) * peak, durationMs: rushMs },
    clock,
  );
  return judge({ peak, rushMs, rush, steady: await steady });
}

interface Course {
  /** Answers/s that the servers reach behind the proxy. */
  readonly peak: number;
  readonly rushMs: number;
  readonly steady: AppliedLoad;
  readonly rush: AppliedLoad;
}

function judge({ peak, rushMs, steady, rush }: Course): ScenarioResult {
  const rushEndMs = rush.startMs + rushMs;
  // Whole seconds within the rush; the first one, in which the servers' lines fill, is not counted.
  const during = (load: AppliedLoad): SenderInterval[] =>
    load.intervals.filter(({ atMs }) => {
      const endMs = load.startMs + atMs;
      return endMs > rush.startMs + 2000 && endMs <= rushEndMs;
    });
  const goodput = ratePerSecond(during(steady)) + ratePerSecond(during(rush));
  const lastBad = steady.intervals.findLast(({ refused, failed }) => refused + failed > 0);
  const recovery = lastBad === undefined ? 0 : Math.max(0, steady.startMs + lastBad.atMs - rushEndMs);
  const refusal = rush.result.refusal;
  const refusedShare = refusal.count / Math.max(1, rush.result.counts.answered);
  return {
    figures: [
      told('peak without overload', `${formatFigure(peak)}/s`),
      atLeast('answers 200 in the rush, of the peak', goodput / peak, 0.8, percent),
      told('refused in the rush', `${percent(refusedShare)} with 503`),
      atMost('p99 of a refusal', refusal.percentile(99), 20_000, formatMicros),
      exactly('without an answer', countLost(rush.result) + countLost(steady.result), 0),
      exactly('other statuses', countOther(rush.result, 200, 503) + countOther(steady.result, 200, 503), 0),
      atMost('last refusal after the rush', recovery, 2000, (ms) => `${(ms / 1000).toFixed(1)} s`),
    ],
    charts: [timeline(steady, rush)],
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** Good answers per second over some intervals of about one second each. */
function ratePerSecond(intervals: readonly SenderInterval[]): number {
  const good = intervals.reduce((sum, { answered, refused }) => sum + answered - refused, 0);
  return good / Math.max(1, intervals.length);
}

function timeline(steady: AppliedLoad, rush: AppliedLoad): LineChart {
  const points = (load: AppliedLoad, pick: (interval: SenderInterval) => number): [number, number][] =>
    load.intervals.map((one) => [(load.startMs - steady.startMs + one.atMs) / 1000, pick(one)]);
  return {
    kind: 'lines',
    title: 'F19: answers per second',
    xTitle: 'seconds',
    yTitle: '1/s',
    xScale: 'linear',
    lines: [
      { label: 'steady clients, 200', points: points(steady, (one) => one.answered - one.refused) },
      { label: 'steady clients, 503', points: points(steady, (one) => one.refused) },
      { label: 'the rush, 200', points: points(rush, (one) => one.answered - one.refused) },
      { label: 'the rush, 503', points: points(rush, (one) => one.refused) },
    ],
  };
}
