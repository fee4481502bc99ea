// The command line of the bench.

import { parseArgs } from 'node:util';
import { durationOption, integerOption, listOption, WrongUse } from '../load/command-line.ts';
import { RESULTS_FOLDER } from '../report/result-file.ts';
import { INCIDENT_IDS } from './catalogue.ts';
import { CONTESTANTS, DEFAULT_CONTESTANTS } from './contestants/catalogue.ts';
import type { ScriptSet } from './report.ts';

export const HELP = `npm run bench:incidents -- [options]

Eleven incidents, the same for every proxy: Foreshard auto and off, HAProxy, nginx. Bad requests, lead, what was moved.

  --only LIST         incidents, such as a,c (${INCIDENT_IDS.join(', ')})
  --contestants LIST  ${CONTESTANTS.map(({ id }) => id).join(', ')} (default ${DEFAULT_CONTESTANTS.join(',')})
  --set 1|2|both      1: the scripts as written; 2: others, drawn from the seed (default both)
  --seeds N           runs of each, with seeds from --seed on (default 1; the README's table is of 3)
  --seed N            first seed (default 1)
  --side-by-side N    proxies that run at the same time, each with servers and client of its own (default 2)
  --max-delay 10ms    a run is void when client or servers were late by more (99th percentile): the machine was busy
  --sim               auto, off, shuffled and no predictions under virtual time, without processes; exact for a seed
  --days N            healthy days under virtual time instead of incidents (7: a week, some minutes)
  --out DIR           default bench/results
  --json              the result as JSON on stdout instead of the tables
`;

export interface Options {
  readonly incidents: readonly string[];
  readonly contestants: readonly string[];
  readonly sets: readonly ScriptSet[];
  readonly seeds: readonly number[];
  readonly sideBySide: number;
  readonly maxDelayMs: number;
  readonly sim: boolean;
  /** 0 = incidents. */
  readonly days: number;
  readonly out: string;
  readonly json: boolean;
}

const MOST_SEEDS = 100;
const MOST_SIDE_BY_SIDE = 8;
const MOST_DAYS = 60;

/** Null when help was asked for. Throws WrongUse. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = readValues(args);
  if (values.help) return null;
  if (!['1', '2', 'both'].includes(values.set)) {
    throw new WrongUse(`--set must be 1, 2 or both, not "${values.set}"`);
  }
  const first = integerOption('seed', values.seed, 0, 1_000_000);
  const count = integerOption('seeds', values.seeds, 1, MOST_SEEDS);
  return {
    incidents: listOption('only', values.only, INCIDENT_IDS),
    contestants: listOption(
      'contestants',
      values.contestants,
      CONTESTANTS.map(({ id }) => id),
    ),
    sets: values.set === 'both' ? [1, 2] : values.set === '1' ? [1] : [2],
    seeds: Array.from({ length: count }, (_, i) => first + i),
    sideBySide: integerOption('side-by-side', values['side-by-side'], 1, MOST_SIDE_BY_SIDE),
    maxDelayMs: durationOption('max-delay', values['max-delay'], 1, 1000),
    sim: values.sim,
    days: integerOption('days', values.days, 0, MOST_DAYS),
    out: values.out,
    json: values.json,
  };
}

function readValues(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', default: INCIDENT_IDS.join(',') },
        contestants: { type: 'string', default: DEFAULT_CONTESTANTS.join(',') },
        set: { type: 'string', default: 'both' },
        seeds: { type: 'string', default: '1' },
        seed: { type: 'string', default: '1' },
        'side-by-side': { type: 'string', default: '2' },
        'max-delay': { type: 'string', default: '10ms' },
        sim: { type: 'boolean', default: false },
        days: { type: 'string', default: '0' },
        out: { type: 'string', default: RESULTS_FOLDER },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new WrongUse((error as Error).message);
  }
}
