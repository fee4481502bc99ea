// `foreshard check`: everything that is wrong with a configuration file, at once, in the form that editors
// and terminals turn into links.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfigFile } from '../config/config-file.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { type CommandIo, EXIT_FAILED, EXIT_FINE, EXIT_WRONG_USE, explainWrongUse } from './command-io.ts';

const HELP = `Usage: foreshard check [FILE]

Checks a configuration file (proxy.yaml when none is named) as \`foreshard proxy\` would
load it, variables of the environment included, and prints every problem at once:

  file:line:column: key: what is allowed, what was given

Lines with "warning:" do not refuse the file.

  -h, --help  this text

Exit code: 0 the file is good, 1 it is not or cannot be read, 2 wrong use.
`;

const DEFAULT_FILE = 'proxy.yaml';

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
  const name = use.file ?? DEFAULT_FILE;
  const loaded = await loadConfigFile({ name, path: resolve(io.cwd, name), env: io.env });
  const problems = loaded.ok ? loaded.warnings : loaded.problems;
  for (const problem of problems) io.out(`${formatProblem(problem)}\n`);
  io.out(`${loaded.ok ? summarise(name, loaded.config, problems) : countProblems(name, problems)}\n`);
  return loaded.ok ? EXIT_FINE : EXIT_FAILED;
}

function parseUse(args: readonly string[]): { help: boolean; file: string | undefined } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h', default: false } },
      allowPositionals: true,
    });
    if (positionals.length > 1) return `one file at most, given ${positionals.length}`;
    return { help: values.help, file: positionals[0] };
  } catch (error) {
    return explainWrongUse(error);
  }
}

function summarise(name: string, config: Config, warnings: readonly Problem[]): string {
  const servers = config.regions.reduce((sum, region) => sum + (region.servers?.length ?? 0), 0);
  const parts = [
    count(config.regions.length, 'region'),
    count(servers, 'server'),
    count(config.routes.length, 'route'),
    count(config.listen.length, 'listener'),
    ...(warnings.length > 0 ? [count(warnings.length, 'warning')] : []),
  ];
  return `${name}: good: ${parts.join(', ')}`;
}

function countProblems(name: string, problems: readonly Problem[]): string {
  const warnings = problems.filter((problem) => problem.severity === 'warning').length;
  const errors = count(problems.length - warnings, 'error');
  return `${name}: refused: ${errors}${warnings > 0 ? `, ${count(warnings, 'warning')}` : ''}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
