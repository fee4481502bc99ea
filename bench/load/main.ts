// `npm run bench:load`: the load test product of Foreshard. This file reads the subcommand and gives the
// rest of the line to it.

import { systemClock } from '../../src/core/clock.ts';
import { WrongUse } from './command-line.ts';

const HELP = `npm run bench:load -- [COMMAND] [options]      (--help after a command shows its options)

  compare    (default) CPU per request, throughput, latency and memory of nginx, HAProxy, Caddy,
             http-proxy-3 and Foreshard, side by side on this machine; --quick takes one minute
  drive      load on any URL: closed loop, or a constant rate free of coordinated omission;
             what \`--url\` without a command means
  idle       memory of an idle keep-alive connection
  transfer   memory while a large body passes to or from a slow peer
  manager    what a Regional Endpoint Manager in the path costs beside the proxy, and how soon its changes
             are seen
  control    what the control port under load costs the data plane, and how soon a trace is found
  tracing    what traces of errors and of a share of requests cost
  faults     slow clients, slow servers, a silent region, overload: figures beside their bounds
`;

type Command = (args: readonly string[]) => Promise<number>;

async function chooseCommand(name: string): Promise<{ run: Command; help: string } | null> {
  switch (name) {
    case 'compare': {
      const { compare, COMPARE_HELP } = await import('./compare.ts');
      return { run: (args) => compare(args, systemClock), help: COMPARE_HELP };
    }
    case 'drive': {
      const [{ drive }, { DRIVE_HELP }] = await Promise.all([
        import('./drive.ts'),
        import('./drive-options.ts'),
      ]);
      return { run: (args) => drive(args, systemClock), help: DRIVE_HELP };
    }
    case 'idle': {
      const { idle, IDLE_HELP } = await import('./idle.ts');
      return { run: (args) => idle(args, systemClock), help: IDLE_HELP };
    }
    case 'transfer': {
      const { transfer, TRANSFER_HELP } = await import('./transfer.ts');
      return { run: (args) => transfer(args, systemClock), help: TRANSFER_HELP };
    }
    case 'manager': {
      const { manager, MANAGER_HELP } = await import('./manager.ts');
      return { run: (args) => manager(args, systemClock), help: MANAGER_HELP };
    }
    case 'control': {
      const { control, CONTROL_HELP } = await import('./control.ts');
      return { run: (args) => control(args, systemClock), help: CONTROL_HELP };
    }
    case 'tracing': {
      const { tracing, TRACING_HELP } = await import('./tracing.ts');
      return { run: (args) => tracing(args, systemClock), help: TRACING_HELP };
    }
    case 'faults': {
      const { faults, FAULTS_HELP } = await import('./faults/faults.ts');
      return { run: (args) => faults(args, systemClock), help: FAULTS_HELP };
    }
    default:
      return null;
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const [first = ''] = argv;
  if (first === '--help' || first === '-h' || first === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const named = first !== '' && !first.startsWith('-');
  // Whoever names a URL wants load on it.
  const unnamed = argv.some((arg) => arg === '--url' || arg.startsWith('--url=')) ? 'drive' : 'compare';
  const command = await chooseCommand(named ? first : unnamed);
  if (command === null)
    throw new WrongUse(
      `the command must be compare, drive, idle, transfer, manager, control, tracing or faults, not "${first}"`,
    );
  const args = named ? argv.slice(1) : argv;
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(command.help);
    return 0;
  }
  return command.run(args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof WrongUse)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
