// nginx as a proxy, and as the origin behind all proxies. Pure but for the version. Its best sensible
// configuration: kept upstream connections, no access log, bodies held in memory and never in files.

import { join } from 'node:path';
import { runToEnd } from '../child-process.ts';
import {
  findProgram,
  KEEP_ALIVE_SECONDS,
  KEY_HEADER,
  MAX_CONNECTIONS,
  type Presence,
  type ProxyDefinition,
  type ProxyLaunch,
  type ProxySetup,
} from './definition.ts';

const VERSION_LIMIT_MS = 5000;

export async function nginxPresence(): Promise<Presence> {
  const program = findProgram('nginx');
  if (program === null) return { kind: 'absent', why: 'no nginx in PATH or sbin' };
  const outcome = await runToEnd({ command: program, args: ['-v'] }, VERSION_LIMIT_MS);
  if (outcome.kind === 'failed') return { kind: 'absent', why: outcome.why };
  return { kind: 'present', version: /nginx\/(\S+)/.exec(outcome.stderr)?.[1] ?? 'unknown' };
}

export const nginx: ProxyDefinition = {
  id: 'nginx',
  kind: 'product',
  presence: nginxPresence,
  launch: (setup) => ({
    files: [{ name: 'nginx.conf', text: proxyConfig(setup) }],
    command: nginxCommand(setup.folder),
    readyUrl: `http://127.0.0.1:${setup.port}/healthz`,
  }),
};

/** The origin: /1k, /64k, /1m, POST /upload, /healthz on each of `ports`. */
export function nginxOriginLaunch(ports: readonly number[], workers: number, folder: string): ProxyLaunch {
  return {
    files: [
      { name: 'nginx.conf', text: originConfig(ports, workers, folder) },
      { name: '64k', text: 'x'.repeat(64 * 1024) },
      { name: '1m', text: 'x'.repeat(1024 * 1024) },
    ],
    command: nginxCommand(folder),
    readyUrl: `http://127.0.0.1:${ports[0]}/healthz`,
  };
}

function nginxCommand(folder: string): ProxyLaunch['command'] {
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
  return { command: findProgram('nginx') ?? 'nginx', args };
}

function proxyConfig(setup: ProxySetup): string {
  const balance = setup.job === 'sharded' ? `hash $http_${KEY_HEADER.replaceAll('-', '_')} consistent;` : '';
  return `${preamble(setup.workers)}
http {
  ${shared(setup.folder)}
  upstream origins {
    ${balance}
    ${setup.origins.map((port) => `server 127.0.0.1:${port};`).join('\n    ')}
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${setup.port} reuseport backlog=4096;
    location / {
      proxy_pass http://origins;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffers 16 16k;
      proxy_buffer_size 16k;
      proxy_busy_buffers_size 64k;
      proxy_max_temp_file_size 0;
      proxy_request_buffering off;
    }
  }
}
`;
}

/**
 * \`mirror\` makes nginx read the whole body before the answer; without it \`return\` answers at once and
 * every proxy would be measured on early responses, a rare path.
 */
function originConfig(ports: readonly number[], workers: number, folder: string): string {
  return `${preamble(workers)}
http {
  ${shared(folder)}
  default_type application/octet-stream;
  open_file_cache max=16;
  server {
    ${ports.map((port) => `listen 127.0.0.1:${port} reuseport backlog=4096;`).join('\n    ')}
    root ${folder};
    location = /healthz { return 200 "ok"; }
    location = /1k { return 200 "${'x'.repeat(1024)}"; }
    location = /64k { }
    location = /1m { }
    location = /upload { mirror /read; mirror_request_body on; error_page 405 =200 /read; empty_gif; }
    location = /read { internal; return 200 "ok"; }
  }
}
`;
}

function preamble(workers: number): string {
  // As root nginx would switch its workers to nobody, who may not read a private temporary folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `daemon off;
${user}
worker_processes ${workers};
worker_rlimit_nofile ${2 * MAX_CONNECTIONS + 1024};
pid nginx.pid;
error_log stderr error;
events { worker_connections ${2 * MAX_CONNECTIONS}; }`;
}

function shared(folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(folder, `tmp-${kind}`)};`,
  );
  return `${temporary.join('\n  ')}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout ${KEEP_ALIVE_SECONDS}s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 64k;`;
}
