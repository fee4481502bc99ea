// Healthy days under virtual time, with all that a healthy installation does: days and nights, backups, memory that
// fills and is freed. Whatever moves because of a prediction has moved for nothing.

import { median, type Table } from '../../report/table.ts';
import { AUTO } from '../contestants/catalogue.ts';
import { type Incident, REGIONS, SERVERS_PER_REGION, type ServerTracks, type Track } from '../script.ts';
import { simulate } from './simulate.ts';

/** The bench evaluates each second what an installation evaluates each 30 s: a day of it is a thirtieth too. */
export const WEEK_DAY_SECONDS = 2880;
const SHARDS = 4096;
/** A region with less than this of its base weight has been relieved. */
const RELIEVED = 0.95;

export interface HealthyDays {
  readonly days: number;
  readonly seed: number;
  readonly requests: number;
  /** Times that a region was relieved. */
  readonly needlessShifts: number;
  /** Shards moved over all shards, by reason. */
  readonly moved: Readonly<Record<string, number>>;
  readonly bad: number;
}

function healthyScript(days: number): Incident {
  const servers = REGIONS.flatMap((_, region) =>
    Array.from({ length: SERVERS_PER_REGION }, (_, server) => ({
      region,
      server,
      tracks: healthyTracks(days, region * SERVERS_PER_REGION + server),
    })),
  );
  return {
    id: 'healthy',
    title: 'healthy days',
    seconds: days * WEEK_DAY_SECONDS,
    failing: null,
    failsAt: null,
    demand: [[0, 0.45]],
    hotShare: [[0, 0]],
    servers,
    maintenanceAt: null,
    day: { seconds: WEEK_DAY_SECONDS, swing: 0.25 },
  };
}

function healthyTracks(days: number, nth: number): Partial<ServerTracks> {
  const [disk, memory]: [[number, number][], [number, number][]] = [[], []];
  for (let day = 0; day < days; day++) {
    const at = (share: number): number => (day + share) * WEEK_DAY_SECONDS;
    // A backup in the night, each server at its own hour.
    const backup = 0.7 + nth * 0.03;
    disk.push(
      [at(backup), 0.2],
      [at(backup + 0.003), 0.6],
      [at(backup + 0.02), 0.6],
      [at(backup + 0.023), 0.2],
    );
    for (let part = 0; part < 4; part++) {
      const begins = part / 4 + nth * 0.02;
      memory.push([at(begins), 0.4], [at(begins + 0.24), 0.62], [at(begins + 0.245), 0.4]);
    }
  }
  return { diskIo: disk as Track, memory: memory as Track };
}

export function healthyDays(days: number, seed: number): HealthyDays {
  let [needlessShifts, isRelieved, requests] = [0, false, 0];
  const { record, moves } = simulate({
    incident: healthyScript(days),
    seed,
    top: AUTO,
    predictionAt: () => undefined,
    keepsAnswers: false,
    onRequest: () => {
      requests += 1;
    },
    onEvaluation: (_, loop) => {
      const now = loop.round?.weights.some(({ base, desired }) => desired < RELIEVED * base) ?? false;
      if (now && !isRelieved) needlessShifts += 1;
      isRelieved = now;
    },
  });
  const moved = Object.fromEntries(
    Object.entries(moves).map(([reason, shards]) => [reason, shards / SHARDS]),
  );
  return { days, seed, requests, needlessShifts, moved, bad: record.driver.requests.length };
}

export function healthyTable(runs: readonly HealthyDays[]): Table {
  return {
    title: 'Healthy days under virtual time, auto',
    columns: [
      'seed',
      'days',
      'requests',
      'bad',
      'needless shifts a day',
      'key space moved a day',
      'by reason',
    ].map((title) => ({ title, align: title === 'by reason' ? 'left' : 'right' }) as const),
    rows: runs.map(({ seed, days, requests, bad, needlessShifts, moved }) => {
      const all = Object.values(moved).reduce((sum, share) => sum + share, 0);
      const reasons = Object.entries(moved).map(
        ([reason, share]) => `${reason} ${(share * 100).toFixed(1)} %`,
      );
      return [
        String(seed),
        String(days),
        String(requests),
        String(bad),
        (needlessShifts / days).toFixed(2),
        `${((all / days) * 100).toFixed(2)} %`,
        reasons.join(', '),
      ];
    }),
    notes: [
      `A day is ${WEEK_DAY_SECONDS} s: times are scaled as for the incidents. Fewer than one needless shift a day is asked for, and at most 1 % of the key space.`,
      `Median: ${median(runs.map(({ needlessShifts, days }) => needlessShifts / days)).toFixed(2)} needless shifts a day.`,
    ],
  };
}
