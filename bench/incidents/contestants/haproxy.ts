// HAProxy at its best for this job: quick checks, every failed answer counted, a server marked down at once, a second
// server for what may be sent again, and bounded load so that no server drowns while others idle.

import net from 'node:net';
import { join } from 'node:path';
import { findProgram } from '../../load/proxies/definition.ts';
import { haproxy } from '../../load/proxies/haproxy.ts';
import { launchAndWait } from '../../load/rig.ts';
import { KEY_HEADER } from '../wire.ts';
import {
  CONNECT_TIMEOUT_MS,
  type Contestant,
  type ContestantSetup,
  type ContestantStart,
  RESPONSE_TIMEOUT_MS,
  type Shares,
} from './contestant.ts';

const SOCKET = 'runtime.sock';
const ASK_LIMIT_MS = 1000;

export const haproxyReactive: Contestant = {
  id: 'haproxy',
  presence: haproxy.presence,
  start: (setup) => start(setup, async () => undefined),
};

/** The same with an operator at the runtime API, who drains the region when its maintenance begins. */
export const haproxyDrained: Contestant = {
  id: 'haproxy-drained',
  only: ['e'],
  presence: haproxy.presence,
  start: (setup) =>
    start(setup, async (region) => {
      for (const name of serverNames(setup, region))
        await ask(setup, `set server servers/${name} state drain`);
    }),
};

async function start(
  setup: ContestantSetup,
  onMaintenance: (region: string) => Promise<void>,
): Promise<ContestantStart> {
  const launch = {
    files: [{ name: 'haproxy.cfg', text: haproxyConfig(setup) }],
    command: {
      command: findProgram('haproxy') ?? 'haproxy',
      args: ['-db', '-f', join(setup.folder, 'haproxy.cfg')],
    },
    readyUrl: `http://127.0.0.1:${setup.port}/healthz`,
  };
  const outcome = await launchAndWait(launch, setup.folder, setup.clock);
  if (outcome.kind === 'failed') return outcome;
  const { process } = outcome;
  const contestant = {
    url: `http://127.0.0.1:${setup.port}`,
    telemetryUrl: null,
    shares: () => readShares(setup),
    onMaintenance,
    cpuMicros: () => process.usage()?.cpuMicros ?? 0,
    endedWith: () => (process.hasExited() ? process.output() : undefined),
    stop: () => process.stop(),
  };
  return { kind: 'started', contestant };
}

function serverNames(setup: ContestantSetup, region: string): string[] {
  return setup.regions
    .filter(({ id }) => id === region)
    .flatMap(({ id, servers }) => servers.map((_, i) => `${id}-${i}`));
}

export function haproxyConfig(setup: ContestantSetup): string {
  const servers = setup.regions.flatMap(({ id, servers }) =>
    // Weight 100 is 1,600 points on the ring instead of 16: even shares.
    servers.map(({ port }, i) => `server ${id}-${i} 127.0.0.1:${port} weight 100`),
  );
  return `global
  nbthread 1
  stats socket ${join(setup.folder, SOCKET)} mode 600 level admin
defaults
  mode http
  no log
  timeout connect ${CONNECT_TIMEOUT_MS}ms
  timeout client 30s
  timeout http-keep-alive 120s
  timeout server ${RESPONSE_TIMEOUT_MS}ms
  timeout check ${RESPONSE_TIMEOUT_MS}ms
  http-reuse always
frontend clients
  bind 127.0.0.1:${setup.port}
  default_backend servers
backend servers
  balance hdr(${KEY_HEADER})
  hash-type consistent
  hash-balance-factor 150
  option httpchk GET /healthz
  option redispatch 1
  retries 2
  retry-on conn-failure empty-response response-timeout 500 502 503 504
  http-request disable-l7-retry unless METH_GET
  default-server check inter 1s fastinter 250ms downinter 1s fall 2 rise 2 observe layer7 error-limit 5 on-error mark-down
  ${servers.join('\n  ')}
`;
}

/** Share of the servers that are up, by region: consistent hashing gives each an equal part of the keys. */
async function readShares(setup: ContestantSetup): Promise<Shares | null> {
  const csv = await ask(setup, 'show stat');
  if (csv === null) return null;
  const up = new Map<string, number>(setup.regions.map(({ id }) => [id, 0]));
  for (const line of csv.split('\n')) {
    const fields = line.split(',');
    const region = /^(.*)-\d+$/.exec(fields[1] ?? '')?.[1];
    // Field 18 is the status: `UP`, `UP 1/2` (failing), `DOWN`, `DRAIN`.
    if (region !== undefined && up.has(region) && fields[17]?.startsWith('UP'))
      up.set(region, up.get(region)! + 1);
  }
  const total = [...up.values()].reduce((sum, count) => sum + count, 0) || 1;
  return Object.fromEntries([...up].map(([id, count]) => [id, count / total]));
}

/** One command of the runtime API; null when nobody answers. */
function ask(setup: ContestantSetup, command: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = net.connect(join(setup.folder, SOCKET));
    let answer = '';
    socket.setTimeout(ASK_LIMIT_MS, () => socket.destroy());
    socket.on('error', () => resolve(null));
    socket.on('close', () => resolve(answer === '' ? null : answer));
    socket.on('data', (chunk) => {
      answer += chunk.toString('utf8');
    });
    socket.end(`${command}\n`);
  });
}
