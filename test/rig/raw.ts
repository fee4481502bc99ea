// Bytes in, bytes out: a client that sends exactly what a test says, and a server that answers exactly what
// a test says. For everything that an HTTP library would refuse to write.

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface RawAnswer {
  /** Everything received, one character a byte. */
  readonly text: string;
  /** Status of the first answer; 0 when there was none. */
  readonly status: number;
  /** Text behind the first empty line. */
  readonly body: string;
  /** How the connection ended, or that it did not within the time. */
  readonly end: 'closed' | 'reset' | 'open';
  /** Value of a field of the first answer, undefined when it is not there. */
  field(name: string): string | undefined;
}

export interface RawOptions {
  /** Stop as soon as this is true of what was received so far; the connection is then cut. */
  readonly until?: (text: string) => boolean;
  /** Longest wait, milliseconds. */
  readonly ms?: number;
  /** Do not half-close after sending (the default is to keep the connection open anyway). */
  readonly end?: boolean;
}

/** Sends `bytes` (Latin-1 text, pieces one after the other) and collects the answer. */
export function sendRaw(
  port: number,
  bytes: string | readonly string[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const finish = (end: RawAnswer['end']): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answerOf(text, end));
    };
    const timer = setTimeout(() => finish('open'), options.ms ?? 3000);
    socket.on('connect', () => {
      for (const piece of typeof bytes === 'string' ? [bytes] : bytes) socket.write(piece, 'latin1');
      if (options.end) socket.end();
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (options.until?.(text)) finish('open');
    });
    socket.on('error', () => finish('reset'));
    socket.on('end', () => finish('closed'));
  });
}

export function answerOf(text: string, end: RawAnswer['end']): RawAnswer {
  const split = text.indexOf('\r\n\r\n');
  const head = split === -1 ? text : text.slice(0, split);
  const lines = head.split('\r\n').slice(1);
  return {
    text,
    end,
    status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0),
    body: split === -1 ? '' : text.slice(split + 4),
    field: (name) =>
      lines
        .find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
        ?.slice(name.length + 1)
        .trim(),
  };
}

export interface RawServer {
  readonly port: number;
  readonly url: string;
  /** Requests received so far, as bytes per connection, in order of arrival. */
  readonly received: string[];
  readonly connections: number;
}

/**
 * A server that calls `onHead` when a head (up to the empty line) has arrived on a connection, with
 * everything received there so far and the socket to answer on.
 */
export async function startRawServer(
  t: Test,
  onHead: (received: string, socket: Socket, connection: number) => void,
): Promise<RawServer> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    const index = connections++;
    sockets.add(socket);
    let pending = '';
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      if (!pending.includes('\r\n\r\n')) return;
      const whole = pending;
      pending = '';
      received.push(whole);
      // Health checks are not what a test is about.
      if (whole.startsWith('GET /healthz ')) {
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
        received.pop();
        return;
      }
      onHead(whole, socket, index);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    received,
    get connections() {
      return connections;
    },
  };
}
