// nginx at its best for this job: it sees failures in traffic alone, leaves a server out after twenty of them, and takes
// the next one for what may be sent again. With fewer, time-outs that a full server has by chance take out one after the
// other until none is left.

import { join } from 'node:path';
import { findProgram } from '../../load/proxies/definition.ts';
import { nginx as nginxProduct } from '../../load/proxies/nginx.ts';
import { launchAndWait } from '../../load/rig.ts';
import { KEY_HEADER } from '../wire.ts';
import {
  CONNECT_TIMEOUT_MS,
  type Contestant,
  type ContestantSetup,
  RESPONSE_TIMEOUT_MS,
} from './contestant.ts';

export const nginx: Contestant = {
  id: 'nginx',
  presence: nginxProduct.presence,
  start: async (setup) => {
    const launch = {
      files: [{ name: 'nginx.conf', text: nginxConfig(setup) }],
      command: {
        command: findProgram('nginx') ?? 'nginx',
        args: ['-p', setup.folder, '-c', join(setup.folder, 'nginx.conf'), '-e', 'stderr'],
      },
      readyUrl: `http://127.0.0.1:${setup.port}/healthz`,
    };
    const outcome = await launchAndWait(launch, setup.folder, setup.clock);
    if (outcome.kind === 'failed') return outcome;
    const { process } = outcome;
    const contestant = {
      url: `http://127.0.0.1:${setup.port}`,
      telemetryUrl: null,
      // The open-source nginx shows no state of its servers.
      shares: async () => null,
      onMaintenance: async () => undefined,
      cpuMicros: () => process.usage()?.cpuMicros ?? 0,
      endedWith: () => (process.hasExited() ? process.output() : undefined),
      stop: () => process.stop(),
    };
    return { kind: 'started', contestant };
  },
};

export function nginxConfig(setup: ContestantSetup): string {
  const servers = setup.regions.flatMap(({ servers }) =>
    // Weight 100 is 16,000 points on the ring instead of 160: even shares. The bound on connections is what it has against
    // a server that drowns: about four times what a calm one has at this load.
    servers.map(
      ({ port }) => `server 127.0.0.1:${port} weight=100 max_conns=32 max_fails=20 fail_timeout=5s;`,
    ),
  );
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(setup.folder, `tmp-${kind}`)};`,
  );
  // As root nginx would switch its workers to nobody, who may not read a private temporary folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `daemon off;
${user}
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  ${temporary.join('\n  ')}
  access_log off;
  keepalive_timeout 120s;
  keepalive_requests 1000000;
  upstream servers {
    zone servers 256k;
    hash $http_${KEY_HEADER.replaceAll('-', '_')} consistent;
    ${servers.join('\n    ')}
    keepalive 256;
  }
  server {
    listen 127.0.0.1:${setup.port} backlog=1024;
    location / {
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout ${CONNECT_TIMEOUT_MS}ms;
      proxy_read_timeout ${RESPONSE_TIMEOUT_MS}ms;
      proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
      proxy_next_upstream_tries 3;
    }
  }
}
`;
}
