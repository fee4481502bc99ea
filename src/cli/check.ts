// `foreshard check`: everything that is wrong with a configuration file, at once, in the form that editors
// and terminals turn into links.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfigFile } from '../config/config-file.ts';
import { type ConfigDocument, PROXY_DOCUMENT, REM_DOCUMENT } from '../config/document.ts';
import type { DeepReadonly } from '../config/frozen.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { RemConfig } from '../config/schema-rem.ts';
import { type CommandIo, EXIT_FAILED, EXIT_FINE, EXIT_WRONG_USE, explainWrongUse } from './command-io.ts';

const HELP = `Usage: foreshard check [--rem] [FILE]

Checks a configuration file (proxy.yaml when none is named) as \`foreshard proxy\` would
load it (\`foreshard rem\` with --rem: then rem.yaml when none is named), variables of the environment included, and prints every problem at once:

  file:line:column: key: what is allowed, what was given

Lines with "warning:" do not refuse the file.

      --rem   the file is a manager's
  -h, --help  this text

Exit code: 0 the file is good, 1 it is not or cannot be read, 2 wrong use.
`;

/** Runs the command with the arguments behind its name; resolves to the exit code. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const use = parseUse(args);
  if (typeof use === 'string') {
    io.err(`foreshard check: ${use}\n\n${HELP}`);
    return EXIT_WRONG_USE;
  }
  if (use.help) {
    io.out(HELP);
    return EXIT_FINE;
  }
  // Problems name the file as it was given: that is the name that the reader knows.
  const name = use.file ?? (use.rem ? REM_DOCUMENT : PROXY_DOCUMENT).name;
  return use.rem
    ? checkFile(name, REM_DOCUMENT, io, partsOfRem)
    : checkFile(name, PROXY_DOCUMENT, io, partsOf);
}

async function checkFile<Parsed extends object>(
  name: string,
  document: ConfigDocument<Parsed>,
  io: CommandIo,
  parts: (config: DeepReadonly<Parsed>) => readonly string[],
): Promise<number> {
  const loaded = await loadConfigFile({ name, path: resolve(io.cwd, name), env: io.env }, document);
  const problems = loaded.ok ? loaded.warnings : loaded.problems;
  for (const problem of problems) io.out(`${formatProblem(problem)}\n`);
  if (!loaded.ok) {
    io.out(`${countProblems(name, problems)}\n`);
    return EXIT_FAILED;
  }
  const warnings = problems.length > 0 ? [count(problems.length, 'warning')] : [];
  io.out(`${name}: good: ${[...parts(loaded.config), ...warnings].join(', ')}\n`);
  return EXIT_FINE;
}

function parseUse(
  args: readonly string[],
): { help: boolean; rem: boolean; file: string | undefined } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        rem: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      allowPositionals: true,
    });
    if (positionals.length > 1) return `one file at most, given ${positionals.length}`;
    return { help: values.help, rem: values.rem, file: positionals[0] };
  } catch (error) {
    return explainWrongUse(error);
  }
}

function partsOf(config: Config): string[] {
  const servers = config.regions.reduce((sum, region) => sum + (region.servers?.length ?? 0), 0);
  return [
    count(config.regions.length, 'region'),
    count(servers, 'server'),
    count(config.routes.length, 'route'),
    count(config.listen.length, 'listener'),
  ];
}

function partsOfRem(config: RemConfig): string[] {
  return [
    `region ${config.region}`,
    count(config.servers.length, 'server'),
    count(config.discovery.length, 'source'),
    count(config.listen.length, 'listener'),
  ];
}

function countProblems(name: string, problems: readonly Problem[]): string {
  const warnings = problems.filter((problem) => problem.severity === 'warning').length;
  const errors = count(problems.length - warnings, 'error');
  return `${name}: refused: ${errors}${warnings > 0 ? `, ${count(warnings, 'warning')}` : ''}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
