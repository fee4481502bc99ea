// The command line: finds the command's file and gives it its arguments and the outside world. main.js, which
// started this, has checked the version of Node.

import { argv, cwd, env, exit, stderr, stdout } from 'node:process';
import type { Command, CommandIo } from './cli/command-io.ts';

interface Verb {
  readonly does: string;
  load(): Promise<{ readonly run: Command }>;
}

const VERBS: Readonly<Record<string, Verb>> = {
  proxy: { does: 'run the Sharding Proxy', load: () => import('./cli/proxy.ts') },
  rem: { does: 'run a Regional Endpoint Manager', load: () => import('./cli/rem.ts') },
  pae: { does: 'run a Predictive Analytics Engine of its own', load: () => import('./cli/pae.ts') },
  check: { does: 'validate a configuration', load: () => import('./cli/check.ts') },
  schema: { does: 'print the JSON Schema of the configuration', load: () => import('./cli/schema.ts') },
  explain: { does: 'say where a request would go, and why', load: () => import('./cli/explain.ts') },
  simulate: {
    does: 'say what would move if regions failed or had other weights',
    load: () => import('./cli/simulate.ts'),
  },
  backtest: { does: 'score the engine on recorded data', load: () => import('./cli/backtest.ts') },
};

function usage(): string {
  const lines = Object.entries(VERBS).map(([verb, { does }]) => `  ${verb.padEnd(10)} ${does}`);
  return `usage: foreshard COMMAND [options]\n\n${lines.join('\n')}\n\nforeshard COMMAND --help tells more.\n`;
}

async function main(): Promise<number> {
  const [verb, ...args] = argv.slice(2);
  const io: CommandIo = {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    env,
    cwd: cwd(),
  };
  if (verb === undefined) {
    io.err(usage());
    return 2;
  }
  if (verb === '--help' || verb === '-h' || verb === 'help') {
    io.out(usage());
    return 0;
  }
  const command = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (command === undefined) {
    io.err(`foreshard: there is no command ${verb}\n\n${usage()}`);
    return 2;
  }
  const { run } = await command.load();
  return run(args, io);
}

exit(await main());
