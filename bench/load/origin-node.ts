// Program: the origin where nginx is missing. Same paths and answers as nginx.ts's, in node:http; it
// takes more CPU than nginx, which leaves less of a small machine to the proxy.
// Started by rig.ts with { ports, workers } as one JSON argument.

import http from 'node:http';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

interface NodeOriginOptions {
  readonly ports: readonly number[];
  readonly workers: number;
}

const BODIES: Readonly<Record<string, Buffer>> = {
  '/healthz': Buffer.from('ok'),
  '/1k': Buffer.alloc(1024, 'x'),
  '/64k': Buffer.alloc(64 * 1024, 'x'),
  '/1m': Buffer.alloc(1024 * 1024, 'x'),
  '/upload': Buffer.from('ok'),
};
/** Longer than any bench leaves a pooled connection idle, so that no proxy meets a closing one. */
const KEEP_ALIVE_MS = 120_000;

const options: NodeOriginOptions = isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData;

if (isMainThread && options.workers > 1) {
  for (let i = 0; i < options.workers; i++) new Worker(new URL(import.meta.url), { workerData: options });
} else {
  for (const port of options.ports) {
    const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, answer);
    server.listen({ host: '127.0.0.1', port, backlog: 4096, reusePort: options.workers > 1 });
  }
}

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  const body = BODIES[request.url ?? ''];
  request.resume();
  request.on('end', () => {
    if (body === undefined) response.writeHead(404).end();
    else {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length });
      response.end(body);
    }
  });
}
