// `faults`: makes situations in which proxies fall over, and prints what Foreshard does in them beside the
// bound that it must hold. One scenario after the other, each with servers and a proxy of its own.

import type { Clock } from '../../../src/core/clock.ts';
import { formatOrigin } from '../../report/machine.ts';
import type { PageSection } from '../../report/page.ts';
import { openProgress } from '../../report/progress.ts';
import { RESULTS_FOLDER, resultHead, writeResult } from '../../report/result-file.ts';
import { formatTable, type Table } from '../../report/table.ts';
import { endChildrenOnSignals } from '../child-process.ts';
import { listOption, optionValues, WrongUse } from '../command-line.ts';
import { type Feature, foreshardWith, probeFeatures } from '../proxies/foreshard.ts';
import { makeRunFolder, type RunningProxy, startProxy } from '../rig.ts';
import { overload } from './overload.ts';
import type { Scenario, ScenarioResult, ScenarioRig } from './scenario.ts';
import { slowHeaders } from './slow-headers.ts';
import { slowServer } from './slow-server.ts';
import { swallowedConnects } from './swallowed-connects.ts';

const SCENARIOS: readonly Scenario[] = [swallowedConnects, slowServer, slowHeaders, overload];
const IDS = SCENARIOS.map((scenario) => scenario.id);

export const FAULTS_HELP = `npm run bench:load -- faults [options]

Makes situations in which proxies fall over, and prints what Foreshard does beside the bound it must hold:
${SCENARIOS.map(({ id, title }) => `  ${id.padEnd(4)} ${title}`).join('\n')}
Exit code 1 when a bound does not hold. (F8 is \`idle\`, F10 is \`transfer\`; the others are tests.)

  --quick               shorter times and smaller counts, same bounds: about two minutes instead of five
  --only LIST           of ${IDS.join(', ')}
  --out DIR             default bench/results
  --json                the result as JSON on stdout instead of the tables
`;

const BENCH = 'load-faults';

interface Outcome {
  readonly scenario: Scenario;
  readonly result: ScenarioResult | string;
}

/** Exit code: 0 when every bound holds. */
export async function faults(args: readonly string[], clock: Clock): Promise<number> {
  const values = parseFaultOptions(args);
  const ids = values.only === undefined ? IDS : listOption('only', values.only, IDS);
  const head = resultHead(BENCH, args, clock);
  let isInterrupted = false;
  endChildrenOnSignals(() => {
    isInterrupted = true;
  });
  const progress = openProgress();
  const folder = makeRunFolder();
  const features = (await probeFeatures()).built;
  const show = (text: string): void => progress.show(text);
  const outcomes: Outcome[] = [];
  for (const scenario of SCENARIOS.filter(({ id }) => ids.includes(id))) {
    if (isInterrupted) break;
    show(`${scenario.id}: ${scenario.title}`);
    const result = await runScenario(scenario, { clock, folder, show, features, quick: values.quick });
    if (!isInterrupted) outcomes.push({ scenario, result });
  }
  progress.clear();
  const sections = outcomes.map(sectionOf);
  const data = { quick: values.quick, scenarios: outcomes.map(dataOf) };
  if (values.json) process.stdout.write(`${JSON.stringify({ ...head, ...data }, null, 2)}\n`);
  else {
    process.stdout.write(`${formatOrigin(head.machine, head.commit)}\n\n`);
    for (const { table } of sections) process.stdout.write(`${formatTable(table!)}\n`);
  }
  const title = 'Foreshard under faults';
  const files = writeResult({ head, title, folder: values.out ?? RESULTS_FOLDER, data, sections });
  process.stderr.write(`${files.json}\n${files.html}\n`);
  return outcomes.length > 0 && outcomes.every(holds) ? 0 : 1;
}

function parseFaultOptions(args: readonly string[]) {
  const options = {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
  } as const;
  return optionValues(args, options);
}

/** A scenario that could not be made says why; the others go on. */
async function runScenario(
  scenario: Scenario,
  given: Pick<ScenarioRig, 'clock' | 'folder' | 'quick' | 'show' | 'features'>,
): Promise<ScenarioResult | string> {
  const ends: (() => Promise<void> | void)[] = [];
  const atEnd = (cleanUp: () => Promise<void> | void): void => void ends.unshift(cleanUp);
  const startForeshard: ScenarioRig['startForeshard'] = async (regions, keys = {}) => {
    const proxy = await startWith(given.features, regions, keys, given);
    atEnd(() => proxy.stop());
    return proxy;
  };
  try {
    return await scenario.run({ ...given, atEnd, startForeshard });
  } catch (error) {
    if (error instanceof WrongUse) throw error;
    return (error as Error).message;
  } finally {
    for (const end of ends) await end();
  }
}

async function startWith(
  features: readonly Feature[],
  regions: Readonly<Record<string, readonly number[]>>,
  keys: Readonly<Record<string, unknown>>,
  { folder, clock }: Pick<ScenarioRig, 'folder' | 'clock'>,
): Promise<RunningProxy> {
  const written = Object.entries(regions).map(([id, ports]) => ({
    id,
    servers: ports.map((port) => `http://127.0.0.1:${port}`),
  }));
  const definition = foreshardWith(features, { ...keys, regions: written });
  const outcome = await startProxy(definition, { origins: [], workers: 1, job: 'sharded', folder, clock });
  if (outcome.kind === 'failed') throw new Error(`Foreshard did not start: ${outcome.why}`);
  return outcome.proxy;
}

function holds({ result }: Outcome): boolean {
  return typeof result !== 'string' && result.figures.every((figure) => figure.holds);
}

function sectionOf({ scenario, result }: Outcome): PageSection & { readonly table: Table } {
  const figures = typeof result === 'string' ? [] : result.figures;
  const left = (title: string) => ({ title, align: 'left' }) as const;
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const table: Table = {
    title: `${scenario.id}: ${scenario.title}`,
    columns: figures.length === 0 ? [] : [left('figure'), right('measured'), right('bound'), left('')],
    rows: figures.map(({ name, measured, bound, holds: isHeld }) => [
      name,
      measured,
      bound,
      bound === '' ? '' : isHeld ? 'holds' : 'FAILS',
    ]),
    notes: typeof result === 'string' ? [`Not measured: ${result}`] : [],
  };
  return { table, charts: typeof result === 'string' ? [] : result.charts };
}

function dataOf({ scenario: { id, title }, result }: Outcome): object {
  return typeof result === 'string'
    ? { id, title, notMeasured: result }
    : { id, title, figures: result.figures };
}
