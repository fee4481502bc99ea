// `foreshard proxy`: loads the configuration, runs the proxy, and turns signals and changes of the file into
// reload, drain and stop.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ProxyProcess } from '../compose/proxy.ts';
import { type SampleServers, startSampleServers } from '../compose/sample-servers.ts';
import { loadConfigFile } from '../config/config-file.ts';
import { type ParsedConfig, PROXY_DOCUMENT } from '../config/document.ts';
import { formatProblem } from '../config/problem.ts';
import type { ConfigWatcher } from '../config/reload.ts';
import type { Config } from '../config/schema.ts';
import type { CommandIo } from './command-io.ts';
import { followFile, untilStopped } from './follow-file.ts';

const HELP = `usage: foreshard proxy --config proxy.yaml [--sample-servers]

Runs the Sharding Proxy until SIGTERM or SIGINT, which drain it (shutdown.grace); a second one stops it at
once. SIGHUP or a change of the file reloads the configuration.

  --config FILE      the configuration (proxy.yaml)
  --sample-servers   also start small servers on the loopback addresses of the configuration that nothing
                     serves
`;

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const options = parseOptions(args, io);
  if (typeof options === 'number') return options;
  const path = resolve(io.cwd, options.config);
  const loaded = await loadConfigFile({ path, name: options.config, env: io.env }, PROXY_DOCUMENT);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n`);
    return 1;
  }
  let watcher: ConfigWatcher<ParsedConfig> | undefined;
  // Before the start, or an early SIGHUP would end the process; the watcher looks at the file once by itself.
  process.on('SIGHUP', () => void watcher?.reload());
  let samples: SampleServers | undefined;
  let proxy: ProxyProcess;
  try {
    if (options.samples) samples = await startSampleServers(loaded.config.regions);
    proxy = await ProxyProcess.start(loaded.config);
  } catch (error) {
    io.err(`foreshard: ${error instanceof Error ? error.message : String(error)}\n`);
    await samples?.close();
    return 1;
  }
  if (options.samples) io.err(welcome(proxy, samples?.started ?? [], loaded.config));
  watcher = followFile(
    { path, name: options.config, document: PROXY_DOCUMENT, env: io.env, inForce: loaded },
    proxy,
  );
  const code = await untilStopped(proxy, watcher);
  watcher.close();
  await samples?.close();
  return code;
}

function parseOptions(args: readonly string[], io: CommandIo): { config: string; samples: boolean } | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', default: 'proxy.yaml' },
        'sample-servers': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      io.out(HELP);
      return 0;
    }
    return { config: values.config, samples: values['sample-servers'] };
  } catch (error) {
    io.err(`foreshard proxy: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
}

function welcome(proxy: ProxyProcess, samples: readonly string[], config: Config): string {
  const lines = samples.map((sample) => `sample server  ${sample}`);
  lines.push(...proxy.listening.map((address) => `listening      ${address}`));
  if (proxy.controlAddress !== undefined) lines.push(`control        ${proxy.controlAddress}`);
  const first = proxy.listening[0] ?? '';
  const path = config.routes[0]?.match.path.replace(/\*+/g, '42') ?? '/';
  lines.push('', `Try:  curl -i ${first}${path} -H 'x-user-id: 42'`);
  if (proxy.controlAddress !== undefined) lines.push(`      curl ${proxy.controlAddress}/regions`);
  return `${lines.join('\n')}\n`;
}
