// The command line of `compare`, and the sections that follow from it.

import { durationOption, integerOption, listOption, optionValues, WrongUse } from './command-line.ts';
import { CASES, type Case, DIRECT, type Section, type Subject } from './compare-plan.ts';
import { HEADLINE, knownProxies, PROXY_IDS } from './proxies/catalogue.ts';
import type { ProxyDefinition } from './proxies/definition.ts';
import { FEATURES, type Feature } from './proxies/foreshard.ts';

export const COMPARE_HELP = `npm run bench:load -- [compare] [options]

Runs each proxy in turn between a load generator and an origin on this machine, in interleaved rounds, and
reports medians: CPU microseconds per request (of the proxy's process tree), requests/s, p50, p99, memory.
The first Ctrl-C ends the run with the figures so far, the second at once.

  --quick               one worker, GET 1 KiB, products only: about one minute
  --only LIST           of ${PROXY_IDS.join(', ')}
  --cases LIST          of ${CASES.map((one) => one.id).join(', ')}
  --workers 1,2         threads or processes of each proxy
  --rounds 3            1 to 50
  --duration 3s         of each measurement, whole seconds, 1s to 10m; CPU is counted in steps of 10 ms
  --connections 64      1 to 4096
  --no-sharded          leave out the section in which all products hash a key over three origins
  --no-features         do not switch Foreshard's features off in turn
  --features LIST       only these, the others as by default: of ${FEATURES.map((one) => one.id).join(', ')}
  --out DIR             default bench/results
  --json                the result as JSON on stdout instead of the tables
`;

export interface CompareOptions {
  readonly sections: readonly Section[];
  /** Foreshard's features to be switched off in turn; empty for none. */
  readonly features: readonly Feature[];
  /** The case that they are measured with. */
  readonly featureCase: Case;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly out: string | null;
  readonly json: boolean;
}

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  cases: { type: 'string' },
  workers: { type: 'string' },
  rounds: { type: 'string', default: '3' },
  duration: { type: 'string', default: '3s' },
  connections: { type: 'string', default: '64' },
  'no-sharded': { type: 'boolean', default: false },
  'no-features': { type: 'boolean', default: false },
  features: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof readValues>;

function readValues(args: readonly string[]) {
  return optionValues(args, OPTIONS);
}

/** `features` are those that this checkout has. */
export function parseCompareOptions(args: readonly string[], features: readonly Feature[]): CompareOptions {
  const values = readValues(args);
  const durationMs = durationOption('duration', values.duration, 1000, 600_000);
  if (durationMs % 1000 !== 0) throw new WrongUse('--duration must be whole seconds: wrk knows no others');
  const sections = planSections(values, features);
  const hasForeshard = sections[0]?.subjects.some((subject) => subject.id === HEADLINE) ?? false;
  return {
    sections,
    features: hasForeshard ? chosenFeatures(values, features) : [],
    featureCase: sections[0]?.cases[0] ?? CASES[0]!,
    rounds: integerOption('rounds', values.rounds, 1, 50),
    seconds: durationMs / 1000,
    connections: integerOption('connections', values.connections, 1, 4096),
    out: values.out ?? null,
    json: values.json,
  };
}

function chosenFeatures(values: Values, features: readonly Feature[]): readonly Feature[] {
  const ids = FEATURES.map(({ id }) => id);
  const only = values.features === undefined ? undefined : listOption('features', values.features, ids);
  if (values['no-features'] || (values.quick && only === undefined)) return [];
  return only === undefined ? features : features.filter(({ id }) => only.includes(id));
}

function planSections(values: Values, features: readonly Feature[]): Section[] {
  const { quick } = values;
  const only = values.only === undefined ? null : listOption('only', values.only, PROXY_IDS);
  const chosen = knownProxies(features).filter((definition) =>
    only === null ? !quick || definition.kind === 'product' : only.includes(definition.id),
  );
  const products = chosen.filter((definition) => definition.kind === 'product');
  const caseIds = CASES.map((one) => one.id);
  const wanted =
    values.cases === undefined ? (quick ? ['get-1k'] : caseIds) : listOption('cases', values.cases, caseIds);
  const cases = CASES.filter((one) => wanted.includes(one.id));
  const workers = (values.workers ?? (quick ? '1' : '1,2'))
    .split(',')
    .map((text) => integerOption('workers', text.trim(), 1, 64));

  const sections: Section[] = workers.map((count, i) => ({
    id: `workers-${count}`,
    title: `${count} worker${count === 1 ? '' : 's'}`,
    workers: count,
    job: 'plain',
    // One worker: the references too. More of them: only what people run.
    subjects: [
      ...(i === 0 && !quick ? [{ kind: 'direct', id: DIRECT } as const] : []),
      ...(i === 0 ? chosen : products).map(subjectOf),
    ],
    cases,
  }));
  const smallest = cases.slice(0, 1);
  if (!quick && !values['no-sharded'] && products.length > 0)
    sections.push(shardedSection(products, smallest));
  return sections;
}

function subjectOf(definition: ProxyDefinition): Subject {
  return { kind: 'proxy', id: definition.id, definition };
}

function shardedSection(products: readonly ProxyDefinition[], cases: readonly Case[]): Section {
  const title = '1 worker, consistent hashing of a key header over three origins';
  return { id: 'sharded', title, workers: 1, job: 'sharded', subjects: products.map(subjectOf), cases };
}
