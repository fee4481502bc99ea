// The port of a process that is dead, watched: who still tries to reach it, and with what.

import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface PortWatch {
  /** Heads of requests that are no health checks. */
  readonly strangers: readonly string[];
  readonly probes: readonly string[];
  close(): Promise<void>;
}

/** Answers everything with 503, so that health checks go on failing. */
export async function watchPort(t: Test, port: number): Promise<PortWatch> {
  const strangers: string[] = [];
  const probes: string[] = [];
  const sockets = new Set<Socket>();
  const spy = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const head = chunk.toString('latin1');
      (head.startsWith('GET /healthz ') ? probes : strangers).push(head);
      socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve, reject) => {
    spy.on('error', reject);
    spy.listen(port, '127.0.0.1', resolve);
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      spy.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  t.teardown(close);
  return { strangers, probes, close };
}
