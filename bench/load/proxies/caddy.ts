// Caddy as a proxy. Its cores are those of the Go runtime (GOMAXPROCS); admin API, certificates and logs
// are off, upstream connections are kept for all clients.

import { join } from 'node:path';
import { runToEnd } from '../child-process.ts';
import {
  findProgram,
  KEEP_ALIVE_SECONDS,
  KEY_HEADER,
  type Presence,
  type ProxyDefinition,
  type ProxySetup,
} from './definition.ts';

const VERSION_LIMIT_MS = 10_000;

export const caddy: ProxyDefinition = {
  id: 'caddy',
  kind: 'product',
  presence: caddyPresence,
  launch: (setup) => ({
    files: [{ name: 'Caddyfile', text: caddyfile(setup) }],
    command: {
      command: findProgram('caddy') ?? 'caddy',
      args: ['run', '--adapter', 'caddyfile', '--config', join(setup.folder, 'Caddyfile')],
      env: {
        GOMAXPROCS: String(setup.workers),
        HOME: setup.folder,
        XDG_CONFIG_HOME: setup.folder,
        XDG_DATA_HOME: setup.folder,
      },
    },
    readyUrl: `http://127.0.0.1:${setup.port}/healthz`,
  }),
};

async function caddyPresence(): Promise<Presence> {
  const program = findProgram('caddy');
  if (program === null) return { kind: 'absent', why: 'no caddy in PATH' };
  const outcome = await runToEnd({ command: program, args: ['version'] }, VERSION_LIMIT_MS);
  if (outcome.kind === 'failed') return { kind: 'absent', why: outcome.why };
  return { kind: 'present', version: outcome.stdout.trim().split(' ')[0] ?? 'unknown' };
}

function caddyfile(setup: ProxySetup): string {
  const balance = setup.job === 'sharded' ? `lb_policy header ${KEY_HEADER}` : '';
  const origins = setup.origins.map((port) => `127.0.0.1:${port}`).join(' ');
  return `{
	admin off
	auto_https off
	log {
		output discard
	}
	servers {
		timeouts {
			idle ${KEEP_ALIVE_SECONDS}s
		}
		protocols h1
	}
}
http://:${setup.port} {
	bind 127.0.0.1
	reverse_proxy ${origins} {
		${balance}
		transport http {
			keepalive ${KEEP_ALIVE_SECONDS}s
			keepalive_idle_conns 1024
			keepalive_idle_conns_per_host 256
			compression off
		}
	}
}
`;
}
