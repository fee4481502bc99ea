// Conversations byte by byte, with both ends in the test's hand: a client that writes and waits piece by
// piece, and a server that reads requests with a strict reader of its own (which shares nothing with the
// proxy's) and answers by path. What the reader cannot read is kept as a violation.

import { connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

// A machine that stalls must not fail a test: what is waited for takes a fraction of this.
const PATIENCE_MS = 45_000;

export type Matcher = string | RegExp | ((text: string) => boolean);

/** One side of a connection. Text is one character a byte. */
export interface Wire {
  readonly socket: Socket;
  /** Everything received so far. */
  readonly text: () => string;
  write(bytes: string | Uint8Array): void;
  /** Resolves with everything received once it matches. */
  until(matcher: Matcher, ms?: number): Promise<string>;
  /** Resolves when the other side has ended the connection. */
  over(ms?: number): Promise<'closed' | 'reset'>;
  /** The other side has ended the connection. */
  readonly isOver: () => boolean;
  /** Ends the connection without a farewell. */
  cut(): void;
}

function wireOf(socket: Socket): Wire {
  const pieces: string[] = [];
  const waiting = new Set<() => void>();
  let end: 'closed' | 'reset' | null = null;
  const changed = (): void => {
    for (const check of [...waiting]) check();
  };
  const text = (): string => {
    if (pieces.length > 1) pieces.splice(0, pieces.length, pieces.join(''));
    return pieces[0] ?? '';
  };
  const finish = (how: 'closed' | 'reset'): void => {
    end ??= how;
    changed();
  };
  socket.on('data', (chunk) => {
    pieces.push(chunk.toString('latin1'));
    changed();
  });
  socket.on('error', () => finish('reset'));
  socket.on('end', () => finish('closed'));
  socket.on('close', () => finish('closed'));

  const waitFor = <T>(look: () => T | undefined, what: () => string, ms = PATIENCE_MS): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(() => reject(new Error(`${what()} within ${ms} ms`))), ms);
      const settle = (how: () => void): void => {
        clearTimeout(timer);
        waiting.delete(check);
        how();
      };
      const check = (): void => {
        const found = look();
        if (found !== undefined) settle(() => resolve(found));
      };
      waiting.add(check);
      check();
    });

  return {
    socket,
    text,
    write: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    until: (matcher, ms) =>
      waitFor(
        () => (matches(matcher, text()) ? text() : undefined),
        () => `no ${String(matcher)} (${end ?? 'open'}) in ${JSON.stringify(text().slice(-400))}`,
        ms,
      ),
    over: (ms) =>
      waitFor(
        () => end ?? undefined,
        () => `no end behind ${JSON.stringify(text().slice(-400))}`,
        ms,
      ),
    isOver: () => end !== null,
    cut: () => socket.destroy(),
  };
}

function matches(matcher: Matcher, text: string): boolean {
  if (typeof matcher === 'string') return text.includes(matcher);
  return typeof matcher === 'function' ? matcher(text) : matcher.test(text);
}

export async function openWire(t: Test, port: number): Promise<Wire> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const wire = wireOf(socket);
  t.teardown(() => void socket.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return wire;
}

export interface Message {
  /** Request or status line. */
  readonly first: string;
  readonly method: string;
  /** 0 for a request. */
  readonly status: number;
  /** Names as received, and values, alternating. */
  readonly fields: readonly string[];
  readonly body: string;
  readonly framing: 'length' | 'chunked' | 'none' | 'close';
  readonly trailers: readonly string[];
  /** Bytes from the first of the head to the last of the body. */
  readonly size: number;
  /** Values of a field, in order. */
  all(name: string): string[];
}

export interface ReadOptions {
  /** An answer that has no body whatever its head says. */
  readonly isBodiless?: boolean;
  /** The connection has ended behind `text`. */
  readonly hasEnded?: boolean;
}

// Tab, visible ASCII and Latin-1 in a value; nothing else.
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;

/** The first message in `text`; undefined when it is not complete. Throws at anything unclear. */
export function readMessage(text: string, options: ReadOptions = {}): Message | undefined {
  const head = headOf(text);
  if (head === undefined) return undefined;
  const { first, fields, size } = head;
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1] ?? 0);
  if (status === 0 && !/^\S+ \S+ HTTP\/1\.1$/.test(first)) throw new Error(`first line: ${first}`);
  const all = (name: string): string[] =>
    fields.filter((_, i) => i % 2 === 1 && fields[i - 1]!.toLowerCase() === name);
  const message = { first, method: first.split(' ')[0]!, status, fields, trailers: [], all };
  const lengths = all('content-length');
  const encodings = all('transfer-encoding');
  if (lengths.length + encodings.length > 1) throw new Error(`framed twice: ${fields.join('|')}`);
  if (options.isBodiless || status === 204 || status === 304)
    return { ...message, framing: 'none', body: '', size };
  if (encodings.length === 1) {
    if (encodings[0] !== 'chunked') throw new Error(`Transfer-Encoding ${encodings[0]}`);
    const rest = readChunks(text, size);
    return rest === undefined ? undefined : { ...message, framing: 'chunked', ...rest };
  }
  if (lengths.length === 1) {
    if (!/^\d+$/.test(lengths[0]!)) throw new Error(`Content-Length ${lengths[0]}`);
    const end = size + Number(lengths[0]);
    if (text.length < end) return undefined;
    return { ...message, framing: 'length', body: text.slice(size, end), size: end };
  }
  if (status === 0 || status < 200) return { ...message, framing: 'none', body: '', size };
  if (!options.hasEnded) return undefined;
  return { ...message, framing: 'close', body: text.slice(size), size: text.length };
}

function headOf(text: string): { first: string; fields: string[]; size: number } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  return { first, fields: lines.flatMap(readField), size: end + 4 };
}

function readField(line: string): string[] {
  const match = FIELD.exec(line);
  if (match === null) throw new Error(`field line ${line}`);
  return [match[1]!, match[2]!];
}

function readChunks(
  text: string,
  from: number,
): { body: string; trailers: string[]; size: number } | undefined {
  let at = from;
  let body = '';
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`chunk size ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (text.length < at + size + 2) return undefined;
    if (text.slice(at + size, at + size + 2) !== '\r\n') throw new Error('chunk end');
    body += text.slice(at, at + size);
    at += size + 2;
  }
  if (text.startsWith('\r\n', at)) return { body, trailers: [], size: at + 2 };
  const end = text.indexOf('\r\n\r\n', at);
  if (end === -1) return undefined;
  return { body, trailers: text.slice(at, end).split('\r\n').flatMap(readField), size: end + 4 };
}

export type Answerer = (request: Message, wire: Wire) => void;

export interface WireServer {
  readonly url: string;
  readonly port: number;
  /** Whole requests, in order. */
  readonly requests: Message[];
  /** What could not be read as a request. */
  readonly violations: string[];
  readonly connections: Wire[];
  /** Connections that are open now. */
  readonly open: () => number;
  /** Answers requests for `path` (without query) when they are whole. */
  on(path: string, answerer: Answerer): void;
  /** The same when their head has come; that connection is the test's from then on, and to be closed by it. */
  onHead(path: string, answerer: (head: Message, wire: Wire) => void): void;
  /** Requests for `path`, in order. */
  seen(path: string): Message[];
}

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const pathOf = (message: Message): string => message.first.split(' ')[1]!.split('?')[0]!;

export async function startWireServer(t: Test): Promise<WireServer> {
  const answerers = new Map<string, Answerer>();
  const headAnswerers = new Map<string, Answerer>();
  const requests: Message[] = [];
  const violations: string[] = [];
  const connections: Wire[] = [];
  const sockets = new Set<Socket>();

  const serve = (wire: Wire): void => {
    let rest = '';
    let isTaken = false;
    const read = (): void => {
      while (!isTaken && rest !== '') {
        const onlyHead = readMessage(rest, { isBodiless: true });
        if (onlyHead === undefined) return;
        const early = headAnswerers.get(pathOf(onlyHead));
        if (early !== undefined) {
          isTaken = true;
          return early(onlyHead, wire);
        }
        const request = readMessage(rest);
        if (request === undefined) return;
        rest = rest.slice(request.size);
        requests.push(request);
        (answerers.get(pathOf(request)) ?? ((_, to) => to.write(OK)))(request, wire);
      }
    };
    wire.socket.on('data', (chunk) => {
      if (isTaken) return;
      rest += chunk.toString('latin1');
      try {
        read();
      } catch (error) {
        violations.push(String(error));
        wire.cut();
      }
    });
  };

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const wire = wireOf(socket);
    connections.push(wire);
    serve(wire);
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
    requests,
    violations,
    connections,
    open: () => sockets.size,
    on: (path, answerer) => void answerers.set(path, answerer),
    onHead: (path, answerer) => void headAnswerers.set(path, answerer),
    seen: (path) => requests.filter((request) => pathOf(request) === path),
  };
}

/** Settings under which nothing but the test's own bytes reaches a server, and no answer takes it out. */
export const UNWATCHED = { active: false, outlier: { enabled: false } };

/** Resolves once `look` is true; rejects after `ms`. For what no event tells. */
export async function eventually(look: () => boolean, what: string, ms = PATIENCE_MS): Promise<void> {
  const deadline = Date.now() + ms;
  while (!look()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Sends a request on a connection of its own; resolves with its answer once it is whole. */
export async function ask(t: Test, port: number, bytes: string, ms?: number): Promise<Message> {
  const wire = await openWire(t, port);
  wire.write(bytes);
  const isBodiless = bytes.startsWith('HEAD ');
  const read = (): Message | undefined => {
    const options = { isBodiless, hasEnded: wire.isOver() };
    const first = readMessage(wire.text(), options);
    return first !== undefined && first.status === 100
      ? readMessage(wire.text().slice(first.size), options)
      : first;
  };
  await wire.until(() => wire.isOver() || read() !== undefined, ms);
  const answer = read();
  wire.cut();
  if (answer === undefined) throw new Error(`no whole answer: ${JSON.stringify(wire.text().slice(0, 400))}`);
  return answer;
}
