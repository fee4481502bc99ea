// `foreshard rem`: loads the configuration, runs a Regional Endpoint Manager, and turns signals and changes of
// the file into reload, drain and stop.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { RemProcess } from '../compose/rem.ts';
import { type SampleServers, startSampleServers } from '../compose/sample-servers.ts';
import { loadConfigFile } from '../config/config-file.ts';
import { REM_DOCUMENT } from '../config/document.ts';
import { formatProblem } from '../config/problem.ts';
import { type CommandIo, EXIT_FAILED, EXIT_FINE, EXIT_WRONG_USE, explainWrongUse } from './command-io.ts';
import { followFile, untilStopped } from './follow-file.ts';

const HELP = `Usage: foreshard rem --config rem.yaml [--sample-servers]

Runs a Regional Endpoint Manager until SIGTERM or SIGINT, which announce the end to the proxies and drain it
(shutdown.grace); a second one stops it at once. SIGHUP or a change of the file reloads the configuration.

  --config FILE     the configuration (rem.yaml)
  --sample-servers  also start small servers on the loopback addresses of \`servers\` that nothing serves
  -h, --help        this text

Exit code: 0 ended after draining, 1 could not start or was stopped at once, 2 wrong use.
`;

/** Runs the command with the arguments behind its name; resolves to the exit code. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const use = parseUse(args, io);
  if (typeof use === 'number') return use;
  const name = use.config;
  const path = resolve(io.cwd, name);
  const loaded = await loadConfigFile({ path, name, env: io.env }, REM_DOCUMENT);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n`);
    return EXIT_FAILED;
  }
  let samples: SampleServers | undefined;
  let rem: RemProcess;
  try {
    const { region, servers } = loaded.config;
    if (use.hasSamples) samples = await startSampleServers([{ id: region, servers }]);
    rem = await RemProcess.start(loaded.config);
  } catch (error) {
    io.err(`foreshard rem: ${error instanceof Error ? error.message : String(error)}\n`);
    await samples?.close();
    return EXIT_FAILED;
  }
  for (const sample of samples?.started ?? []) io.err(`sample server  ${sample}\n`);
  const watcher = followFile({ path, name, document: REM_DOCUMENT, env: io.env, inForce: loaded }, rem);
  process.on('SIGHUP', () => void watcher.reload());
  const code = await untilStopped(rem, watcher);
  await samples?.close();
  return code;
}

interface Use {
  readonly config: string;
  readonly hasSamples: boolean;
}

function parseUse(args: readonly string[], io: CommandIo): Use | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', default: REM_DOCUMENT.name },
        'sample-servers': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (!values.help) return { config: values.config, hasSamples: values['sample-servers'] };
    io.out(HELP);
    return EXIT_FINE;
  } catch (error) {
    io.err(`foreshard rem: ${explainWrongUse(error)}\n\n${HELP}`);
    return EXIT_WRONG_USE;
  }
}
