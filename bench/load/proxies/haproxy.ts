// HAProxy as a proxy: threads instead of processes, upstream connections shared by all clients
// (http-reuse always), the kernel moving large bodies (splice-auto).

import { join } from 'node:path';
import { runToEnd } from '../child-process.ts';
import {
  findProgram,
  KEEP_ALIVE_SECONDS,
  KEY_HEADER,
  MAX_CONNECTIONS,
  type Presence,
  type ProxyDefinition,
  type ProxySetup,
} from './definition.ts';

const VERSION_LIMIT_MS = 5000;

export const haproxy: ProxyDefinition = {
  id: 'haproxy',
  kind: 'product',
  presence: haproxyPresence,
  launch: (setup) => ({
    files: [{ name: 'haproxy.cfg', text: haproxyConfig(setup) }],
    command: {
      command: findProgram('haproxy') ?? 'haproxy',
      args: ['-db', '-f', join(setup.folder, 'haproxy.cfg')],
    },
    readyUrl: `http://127.0.0.1:${setup.port}/healthz`,
  }),
};

async function haproxyPresence(): Promise<Presence> {
  const program = findProgram('haproxy');
  if (program === null) return { kind: 'absent', why: 'no haproxy in PATH or sbin' };
  const outcome = await runToEnd({ command: program, args: ['-v'] }, VERSION_LIMIT_MS);
  if (outcome.kind === 'failed') return { kind: 'absent', why: outcome.why };
  return { kind: 'present', version: /version (\S+)/.exec(outcome.stdout)?.[1] ?? 'unknown' };
}

/** no strict-limits: it wants two descriptors per connection, of which an idle one uses one. */
function haproxyConfig(setup: ProxySetup): string {
  const balance =
    setup.job === 'sharded' ? `balance hdr(${KEY_HEADER})\n  hash-type consistent` : 'balance roundrobin';
  const servers = setup.origins.map((port, i) => `server origin${i} 127.0.0.1:${port}`);
  return `global
  nbthread ${setup.workers}
  maxconn ${MAX_CONNECTIONS}
  no strict-limits
defaults
  mode http
  no log
  timeout connect 1s
  timeout client ${KEEP_ALIVE_SECONDS}s
  timeout http-keep-alive ${KEEP_ALIVE_SECONDS}s
  timeout server 60s
  http-reuse always
  option splice-auto
frontend clients
  bind 127.0.0.1:${setup.port}
  default_backend origins
backend origins
  ${balance}
  ${servers.join('\n  ')}
`;
}
