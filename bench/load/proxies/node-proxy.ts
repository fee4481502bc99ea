// Program: the proxies in Node that the bench compares with, one per kind, each as plain as it can be.
// They do no routing, no health, no limits: what they cost is the floor for a proxy on that stack.
// Started by node-rivals.ts with its options as one JSON argument.

import http from 'node:http';
import net from 'node:net';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { createProxyServer } from 'http-proxy-3';
import { Pool } from 'undici';
import type { Job } from './definition.ts';

export type NodeProxyKind = 'http-proxy-3' | 'node-tcp-pipe' | 'node-undici-bare' | 'node-http-request';

export interface NodeProxyOptions {
  readonly kind: NodeProxyKind;
  readonly port: number;
  readonly origins: readonly number[];
  readonly workers: number;
  readonly job: Job;
}

/** As KEEP_ALIVE_SECONDS of the others: node:http's default of 5 s would end the idle bench. */
const KEEP_ALIVE_MS = 120_000;
const UPSTREAM_SOCKETS = 256;
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection']);

const options: NodeProxyOptions = isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData;

if (isMainThread && options.workers > 1) {
  for (let i = 0; i < options.workers; i++) new Worker(new URL(import.meta.url), { workerData: options });
} else {
  listen();
}

function listen(): void {
  const servers: Record<NodeProxyKind, () => net.Server> = {
    'node-tcp-pipe': tcpPipe,
    'node-undici-bare': undiciProxy,
    'node-http-request': httpRequestProxy,
    'http-proxy-3': httpProxy3,
  };
  const server = servers[options.kind]();
  server.listen({
    host: '127.0.0.1',
    port: options.port,
    backlog: 4096,
    reusePort: options.workers > 1,
  });
}

/** The key decides the origin, by rendezvous over few origins: cheap, and as stable as a ring. */
function chooseOrigin(key: string | undefined): number {
  const [first = 0] = options.origins;
  if (options.job === 'plain' || key === undefined) return first;
  let [best, bestScore] = [first, -1];
  for (const origin of options.origins) {
    let hash = 0x811c9dc5 ^ origin;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    const score = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
    if (score > bestScore) [best, bestScore] = [origin, score];
  }
  return best;
}

function keyOf(request: http.IncomingMessage): string | undefined {
  const key = request.headers['x-user-id'];
  return typeof key === 'string' ? key : undefined;
}

function tcpPipe(): net.Server {
  return net.createServer({ noDelay: true }, (client) => {
    const upstream = net.connect({ host: '127.0.0.1', port: options.origins[0]!, noDelay: true });
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
}

function httpServer(handler: http.RequestListener): http.Server {
  return http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, handler);
}

function fail(response: http.ServerResponse): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(502).end();
}

function withoutHopByHop(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!HOP_BY_HOP.has(raw[i]!.toLowerCase())) kept.push(raw[i]!, raw[i + 1]!);
  }
  return kept;
}

function undiciProxy(): net.Server {
  const pools = new Map(
    options.origins.map((port) => [
      port,
      new Pool(`http://127.0.0.1:${port}`, { connections: UPSTREAM_SOCKETS }),
    ]),
  );
  return httpServer((request, response) => {
    const hasBody =
      request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
    pools.get(chooseOrigin(keyOf(request)))!.dispatch(
      {
        method: request.method as 'GET',
        path: request.url ?? '/',
        headers: withoutHopByHop(request.rawHeaders),
        body: hasBody ? request : null,
      },
      {
        onRequestStart: () => undefined,
        onResponseStart: (controller, status) => {
          const raw = (controller.rawHeaders ?? []) as readonly Buffer[];
          response.writeHead(status, withoutHopByHop(raw.map((part) => part.toString('latin1'))));
        },
        onResponseData: (controller, chunk) => {
          if (response.write(chunk)) return;
          controller.pause();
          // A client that left never drains: without the abort its exchange holds a pooled socket for ever.
          const leave = (): void => controller.abort(new Error('the client left'));
          if (response.destroyed) return leave();
          response.once('close', leave);
          response.once('drain', () => {
            response.off('close', leave);
            controller.resume();
          });
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => fail(response),
      },
    );
  });
}

function httpRequestProxy(): net.Server {
  const agent = new http.Agent({ keepAlive: true, maxSockets: UPSTREAM_SOCKETS });
  return httpServer((request, response) => {
    const upstream = http.request({
      agent,
      host: '127.0.0.1',
      port: chooseOrigin(keyOf(request)),
      method: request.method,
      path: request.url,
      headers: withoutHopByHop(request.rawHeaders),
    });
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, withoutHopByHop(answer.rawHeaders));
      answer.pipe(response);
    });
    upstream.on('error', () => fail(response));
    response.on('close', () => {
      if (!response.writableFinished) upstream.destroy();
    });
    request.pipe(upstream);
  });
}

function httpProxy3(): net.Server {
  const proxy = createProxyServer({
    agent: new http.Agent({ keepAlive: true, maxSockets: UPSTREAM_SOCKETS }),
  });
  const targets = new Map(options.origins.map((port) => [port, `http://127.0.0.1:${port}`]));
  proxy.on('error', (_error, _request, response) => {
    if (response instanceof http.ServerResponse) fail(response);
  });
  return httpServer((request, response) => {
    proxy.web(request, response, { target: targets.get(chooseOrigin(keyOf(request)))! });
  });
}
