// `foreshard pae`: loads the configuration and runs an engine until a signal. A changed file is not taken over
// while it runs: models belong to regions, steps and horizon, which are what would change.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PaeProcess } from '../compose/pae.ts';
import { loadConfigFile } from '../config/config-file.ts';
import { PROXY_DOCUMENT } from '../config/document.ts';
import { formatProblem } from '../config/problem.ts';
import { type CommandIo, EXIT_FAILED, EXIT_FINE, EXIT_WRONG_USE, explainWrongUse } from './command-io.ts';

const HELP = `usage: foreshard pae --config proxy.yaml

Runs a Predictive Analytics Engine of its own on pae.listen until SIGTERM or SIGINT: POST /telemetry,
GET /risk_scores, /external_events, /metrics, /healthz. Proxies with pae.source set to its address post their
measurements to it. A changed configuration needs a restart.

  --config FILE      the configuration (proxy.yaml)
`;

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const options = parseOptions(args, io);
  if (typeof options === 'number') return options;
  const path = resolve(io.cwd, options.config);
  const loaded = await loadConfigFile({ path, name: options.config, env: io.env }, PROXY_DOCUMENT);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n`);
    return EXIT_FAILED;
  }
  // Before the start, which may take a while: a signal then must not be lost.
  const signal = new Promise<void>((done) => {
    process.once('SIGTERM', () => done());
    process.once('SIGINT', () => done());
  });
  let pae: PaeProcess;
  try {
    pae = await PaeProcess.start(loaded.config);
  } catch (error) {
    io.err(`foreshard: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_FAILED;
  }
  await signal;
  await pae.stop();
  return EXIT_FINE;
}

function parseOptions(args: readonly string[], io: CommandIo): { readonly config: string } | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', default: 'proxy.yaml' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (!values.help) return { config: values.config };
    io.out(HELP);
    return EXIT_FINE;
  } catch (error) {
    io.err(`foreshard pae: ${explainWrongUse(error)}\n\n${HELP}`);
    return EXIT_WRONG_USE;
  }
}
