// A server behind the proxy that is a process of its own, so that a story can kill it: answers with the id
// it was sent, writes every id into a file as it arrives and again when it is answered, and misbehaves when
// told. Written synchronously: what a killed process had read is then on disk.

import { createHash } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How it behaves; each message of the parent changes the fields that it names. */
export interface Behaviour {
  /** Milliseconds from the end of a request to its answer. */
  readonly answerMs: number;
  /** Connections are accepted and requests read (and written down), and nothing is answered. */
  readonly hangs: boolean;
  /** Status of the health page; it hangs like everything else. */
  readonly health: number;
  /** Idle connections are closed after a random time up to this; 0 = never. */
  readonly idleCloseMs: number;
  /** After SIGTERM it goes on answering, with `Connection: close`, for this long. */
  readonly lingerMs: number;
  /** Bytes of an answer, padded behind the id. */
  readonly answerBytes: number;
}

export interface StoryServerStart {
  readonly name: string;
  /** 0 = any. */
  readonly port: number;
  readonly logPath: string;
  readonly behaviour: Partial<Behaviour>;
}

export const ORDINARY: Behaviour = {
  answerMs: 5,
  hangs: false,
  health: 200,
  idleCloseMs: 0,
  lingerMs: 0,
  answerBytes: 200,
};

function serve(start: StoryServerStart): void {
  let behaviour: Behaviour = { ...ORDINARY, ...start.behaviour };
  const log = openSync(start.logPath, 'a');
  const idle = new IdleCloser(() => behaviour.idleCloseMs);
  let isDraining = false;

  const answer = (id: string, response: ServerResponse): void => {
    if (response.destroyed) return;
    if (isDraining) response.setHeader('connection', 'close');
    response.setHeader('x-server', start.name);
    response.end(id.padEnd(behaviour.answerBytes, '.'));
    writeSync(log, `answered ${id}\n`);
  };
  const server = createServer((request, response) => {
    idle.busy(request.socket);
    response.on('close', () => idle.free(request.socket));
    if (request.url === '/healthz') {
      if (!behaviour.hangs) response.writeHead(isDraining ? 503 : behaviour.health).end();
      return;
    }
    readId(request, (id) => {
      writeSync(log, `came ${request.method} ${id}\n`);
      if (!behaviour.hangs) setTimeout(answer, behaviour.answerMs, id, response);
    });
  });
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => {});
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
        `sec-websocket-accept: ${accept}\r\n\r\n`,
    );
    // What comes is sent back, frames or not.
    socket.pipe(socket);
  });
  server.keepAliveTimeout = 60_000;
  process.on('message', (change: Partial<Behaviour>) => {
    behaviour = { ...behaviour, ...change };
    tell({ changed: true });
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => {
    isDraining = true;
    setTimeout(() => endWhenQuiet(server), behaviour.lingerMs);
  });
  server.listen(start.port, '127.0.0.1', () => {
    tell({ port: (server.address() as { port: number }).port });
  });
}

/** A parent that was ended in the meantime is no error. */
function tell(message: object): void {
  process.send?.(message, undefined, {}, () => {});
}

/** The id is the last segment of the path; of a POST it is the body, which must say the same. */
function readId(request: IncomingMessage, done: (id: string) => void): void {
  const inPath = request.url!.slice(request.url!.lastIndexOf('/') + 1);
  let body = '';
  request.setEncoding('latin1');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('error', () => {});
  request.on('end', () => done(request.method === 'POST' && body !== inPath ? `mixed:${body}` : inPath));
}

function endWhenQuiet(server: Server): void {
  server.close(() => process.exit(0));
}

/** Closes idle connections after a random time, as servers with a short keep-alive do. */
class IdleCloser {
  readonly #longestMs: () => number;
  readonly #timers = new WeakMap<Socket, NodeJS.Timeout>();
  /** Requests under way: the next one may come before the end of the last is told. */
  readonly #busy = new WeakMap<Socket, number>();

  constructor(longestMs: () => number) {
    this.#longestMs = longestMs;
  }

  busy(socket: Socket): void {
    this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1);
    clearTimeout(this.#timers.get(socket));
  }

  free(socket: Socket): void {
    const left = (this.#busy.get(socket) ?? 1) - 1;
    this.#busy.set(socket, left);
    const longest = this.#longestMs();
    if (left > 0 || longest === 0) return;
    const timer = setTimeout(() => socket.end(), Math.random() * longest);
    this.#timers.set(socket, timer);
  }
}

const start = process.env.STORY_SERVER;
if (start !== undefined && process.send !== undefined) serve(JSON.parse(start) as StoryServerStart);
