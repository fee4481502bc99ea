// Servers behind the proxy for tests: real HTTP servers in the test's own process that say who they are and
// remember what they got.

import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Test } from 'tap';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface TestServer {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  /** Requests without health checks. */
  readonly seen: SeenRequest[];
  /** Answers health checks from now on with this status. */
  health: number;
  readonly openSockets: () => number;
  close(): Promise<void>;
}

export type Handler = (
  request: SeenRequest,
  respond: Parameters<RequestListener>[1],
  raw: IncomingMessage,
) => void;

/** Answers 200 with its name and what it got as JSON, unless `handler` answers. */
export async function startServer(t: Test, name: string, handler?: Handler): Promise<TestServer> {
  const seen: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const state = { health: 200 };
  const server: Server = createServer((request, response) => {
    if (request.url === '/healthz') {
      response.writeHead(state.health).end();
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      const one: SeenRequest = {
        method: request.method!,
        url: request.url!,
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        body: Buffer.concat(chunks),
      };
      seen.push(one);
      if (handler !== undefined) handler(one, response, request);
      else
        response.end(JSON.stringify({ name, url: one.url, method: one.method, body: one.body.toString() }));
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  t.teardown(close);
  return {
    name,
    port,
    url: `http://127.0.0.1:${port}`,
    seen,
    get health() {
      return state.health;
    },
    set health(status) {
      state.health = status;
    },
    openSockets: () => sockets.size,
    close,
  };
}
