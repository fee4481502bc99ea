// `foreshard simulate`: regions fail or weights change on paper. What would move, and what the survivors would have
// to carry.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Simulation, simulate } from '../compose/simulation.ts';
import { loadConfigFile } from '../config/config-file.ts';
import { PROXY_DOCUMENT } from '../config/document.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { type Plan, validatePlan } from '../plan/plan.ts';
import { askControl } from './ask-control.ts';
import { type CommandIo, EXIT_FAILED, EXIT_FINE, EXIT_WRONG_USE } from './command-io.ts';

const HELP = `usage: foreshard simulate [--config FILE] --fail REGION... [--weights a=1,b=0] [--demand N] [--control URL]

  --config FILE      the configuration (proxy.yaml)
  --fail REGION...   regions that can serve nothing; may be repeated
  --weights a=1,b=0  other base weights
  --demand N         requests/s over all regions, for loads and utilisations
  --control URL      take the plan in force and its expected load from a running proxy or engine
  --token TOKEN      for a control port that wants one (or FORESHARD_TOKEN)
  --json             the whole answer as JSON
`;

interface Options {
  readonly config: string;
  readonly fail: readonly string[];
  readonly weights: ReadonlyMap<string, number>;
  readonly demand: number | undefined;
  readonly control: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const options = parseOptions(args, io);
  if (typeof options === 'number') return options;
  const path = resolve(io.cwd, options.config);
  const loaded = await loadConfigFile({ path, name: options.config, env: io.env }, PROXY_DOCUMENT);
  if (!loaded.ok) {
    io.err(`${loaded.problems.map(formatProblem).join('\n')}\n`);
    return EXIT_FAILED;
  }
  const stranger = unknownRegion(options, loaded.config);
  if (stranger !== undefined) {
    io.err(`foreshard simulate: ${stranger}\n`);
    return EXIT_WRONG_USE;
  }
  const inForce = options.control === undefined ? undefined : await planInForce(options, options.control);
  const result = typeof inForce === 'string' ? inForce : simulate(loaded.config, options, inForce);
  if (typeof result === 'string') {
    io.err(`cannot simulate: ${result}\n`);
    return EXIT_FAILED;
  }
  io.out(options.json ? `${JSON.stringify(result, null, 2)}\n` : describe(result));
  return EXIT_FINE;
}

function parseOptions(args: readonly string[], io: CommandIo): Options | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'proxy.yaml' },
        fail: { type: 'string', multiple: true, default: [] },
        weights: { type: 'string' },
        demand: { type: 'string' },
        control: { type: 'string' },
        token: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      io.out(HELP);
      return EXIT_FINE;
    }
    // `--fail a b`: the names after the first one are positionals.
    const isStray = positionals.length > 0 && values.fail.length === 0;
    if (isStray) throw new Error(`takes no argument without an option, given ${positionals.join(' ')}`);
    const fail = [...new Set([...values.fail, ...positionals])];
    const weights = parseWeights(values.weights ?? '');
    if (fail.length === 0 && weights.size === 0) throw new Error('needs --fail or --weights');
    return {
      config: values.config,
      fail,
      weights,
      demand: parseDemand(values.demand),
      control: values.control === undefined ? undefined : parseUrl(values.control),
      token: values.token ?? io.env.FORESHARD_TOKEN,
      json: values.json,
    };
  } catch (error) {
    io.err(`foreshard simulate: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return EXIT_WRONG_USE;
  }
}

const MAX_WEIGHT = 1000;

function parseWeights(text: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const part of text === '' ? [] : text.split(',')) {
    const [, id, digits] = /^([^=]+)=(\d+(?:\.\d+)?)$/.exec(part.trim()) ?? [];
    const weight = Number(digits);
    if (id === undefined || !(weight <= MAX_WEIGHT)) {
      throw new Error(`--weights must be region=0..${MAX_WEIGHT}, separated by commas, given '${part}'`);
    }
    weights.set(id, weight);
  }
  return weights;
}

function parseDemand(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const demand = Number(text);
  if (!(demand > 0 && Number.isFinite(demand))) {
    throw new Error(`--demand must be a number of requests/s above 0, given '${text}'`);
  }
  return demand;
}

function parseUrl(text: string): string {
  const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (!isHttp) throw new Error(`--control must be http://host:port, given '${text}'`);
  return text;
}

function unknownRegion({ fail, weights }: Options, { regions }: Config): string | undefined {
  const ids = regions.map(({ id }) => id);
  const stranger = [...fail, ...weights.keys()].find((id) => !ids.includes(id));
  return stranger === undefined ? undefined : `a region must be one of ${ids.join(', ')}, given ${stranger}`;
}

async function planInForce({ token }: Options, control: string): Promise<Plan | string> {
  const answer = await askControl({ control, path: '/plan', token });
  if (!answer.ok) return answer.problem;
  const verdict = validatePlan(answer.document);
  return verdict.ok ? verdict.plan : `${control} answered no plan: ${verdict.problem}`;
}

function describe(result: Simulation): string {
  const { regions, tables, moved, problems } = result;
  const rows = regions.map(({ id, weight, share, load, capacity, utilisation }) => [
    id,
    change(weight, (value) => String(Math.round(value * 1000) / 1000)),
    change(share, percent),
    load === null ? 'not known' : change(load, (value) => String(Math.round(value))),
    capacity === null ? 'not known' : String(capacity),
    utilisation === null ? 'not known' : change(utilisation, percent),
  ]);
  const header = ['region', 'weight', 'keys', 'requests/s', 'capacity', 'utilisation'];
  const load = moved.load === null ? '' : `, ${Math.round(moved.load)} requests/s`;
  const lines = [
    ...align([header, ...rows]),
    '',
    `${moved.shards} shards move (${percent(moved.keyspace)} of the keys${load})`,
  ];
  for (const table of tables) {
    const name = table.critical ? `table ${table.id} (critical requests)` : `table ${table.id}`;
    lines.push(`${name}: ${table.moved} of ${table.shards}`);
    for (const { from, to, shards } of table.moves) lines.push(`  ${from} -> ${to}  ${shards}`);
  }
  if (problems.length > 0) lines.push('', ...problems.map((problem) => `! ${problem}`));
  if (result.demand === null)
    lines.push('', 'Loads are not known: give --demand, or --control of a proxy whose engine knows them.');
  return `${lines.join('\n')}\n`;
}

const percent = (value: number): string => `${Math.round(value * 1000) / 10} %`;

function change([before, after]: readonly [number, number], write: (value: number) => string): string {
  const [had, has] = [write(before), write(after)];
  return had === has ? has : `${had} -> ${has}`;
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}
