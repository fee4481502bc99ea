// A client connection fed with pipelines of good and broken requests, on a socket of the test's own, so that
// every cut of the bytes is exactly what the connection reads.

import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../src/core/clock.ts';
import type { Downstream } from '../../src/proxy/downstream.ts';
import { ClientConnection, type ConnectionHost } from '../../src/proxy/http1/client-connection.ts';
import { replyLocally } from '../../src/proxy/local-reply.ts';
import { screenRequest } from '../../src/proxy/request-head.ts';
import { TimerWheel } from '../../src/proxy/timer-wheel.ts';
import { readMessage } from '../rig/wire.ts';

const RUNS = { numRuns: 400, seed: 20_261_126 };
const LIMITS = {
  ...{ headerBytes: 600, headerFields: 8, targetBytes: 64, trailerFields: 4 },
  ...{ headerTimeout: 60_000, keepAlive: 60_000 },
};

/** As much of a socket as a connection uses; reading stops while it is paused. */
class TestSocket extends EventEmitter {
  readonly writableLength = 0;
  written = '';
  isEnded = false;
  destroyed = false;
  #isPaused = false;
  readonly #pieces: Buffer[] = [];

  feed(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#deliver();
  }
  #deliver(): void {
    while (!this.#isPaused && this.#pieces.length > 0) this.emit('data', this.#pieces.shift());
  }
  write(bytes: string | Buffer, encoding?: unknown): boolean {
    if (this.isEnded) throw new Error('write after end');
    this.written += typeof bytes === 'string' ? bytes : bytes.toString('latin1');
    if (typeof encoding === 'function') encoding();
    return true;
  }
  end(done?: () => void): void {
    this.isEnded = true;
    done?.();
  }
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }
  isPaused(): boolean {
    return this.#isPaused;
  }
  cork(): void {}
  uncork(): void {}
  destroy(): void {
    this.destroyed = true;
  }
  resetAndDestroy(): void {
    this.destroyed = true;
  }
}

interface Transcript {
  /** Head and body of each request that was let in. */
  readonly requests: string[];
  readonly written: string;
  readonly isOver: boolean;
}

// A turn of the loop between pipelined requests; more than any pipeline here has.
const TURNS = 12;

async function converse(pieces: readonly Buffer[]): Promise<Transcript> {
  const wheel = new TimerWheel(systemClock, { every: () => () => {} });
  const requests: string[] = [];
  const socket = new TestSocket();
  const serve = (exchange: Downstream): void => {
    const request = screenRequest(exchange.head, LIMITS);
    if (request.kind === 'refusal') {
      replyLocally(exchange, { reason: request.reason, keepAlive: false });
      return;
    }
    exchange.frame(request);
    const { method, target, hostField, fields } = request;
    const head = `${method} ${target} ${hostField} ${fields.join('|')}`;
    const finish = (body: string): void => {
      requests.push(`${head} ${JSON.stringify(body)}`);
      exchange.sendHead(200, ['date', 'now'], 2, true);
      exchange.finishWith(Buffer.from('ok'));
    };
    if (exchange.body === null) return finish('');
    const chunks: Buffer[] = [];
    exchange.body.stream({
      data: (chunk) => chunks.push(Buffer.from(chunk)) > 0,
      end: () => finish(Buffer.concat(chunks).toString('latin1')),
      failed: (why) => requests.push(`${head} ${why}`),
    });
  };
  const host: ConnectionHost = {
    wheel,
    isDraining: false,
    sharedBuffer: Buffer.alloc(65_536),
    options: () => LIMITS,
    httpDate: () => 'now',
    onRequest: serve,
    onRefused: () => {},
  };
  new ClientConnection(socket as unknown as Socket, host, '192.0.2.1');
  for (const piece of pieces) socket.feed(piece);
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  wheel.close();
  return { requests, written: socket.written, isOver: socket.isEnded || socket.destroyed };
}

const field = fc.constantFrom(
  'x: 1',
  'X-Latin: \xe9',
  'Connection: keep-alive',
  'TE: trailers',
  'Expect: 100-continue',
);
const rare = fc.constantFrom(
  'Connection: close',
  'Content-Length: 3',
  'Transfer-Encoding: chunked',
  'x : 1',
  ' x',
  'Host: b',
);
const framed = fc.constantFrom(
  ['', ''],
  ['Content-Length: 5\r\n', 'hello'],
  ['Content-Length: 30\r\n', 'GET /inner HTTP/1.1\r\nHost: a\r\n'],
  ['Transfer-Encoding: chunked\r\n', '5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx: 1\r\n\r\n'],
  ['Transfer-Encoding: chunked\r\n', '0\r\n\r\n'],
);
const request = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS'),
    fc.constantFrom('/', '/a?b=c', 'http://a/abs'),
    fc.array(fc.oneof({ weight: 9, arbitrary: field }, { weight: 1, arbitrary: rare }), { maxLength: 3 }),
    framed,
    fc.constantFrom('', '', '\r\n'),
  )
  .map(
    ([method, target, fields, [framing, body], before]) =>
      `${before}${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields.map((one) => `${one}\r\n`).join('')}${framing}\r\n${body}`,
  );
const edit = fc.tuple(fc.nat(300), fc.constantFrom('', '\r', '\n', ' ', ':', '\0', '0', 'x', '\r\n'));
const pipeline = fc
  .tuple(fc.array(request, { minLength: 1, maxLength: 5 }), fc.array(edit, { maxLength: 2 }))
  .map(([requests, edits]) =>
    edits.reduce<string>(
      (so, [at, what]) => so.slice(0, at) + what + so.slice(what === '' ? at + 1 : at),
      requests.join(''),
    ),
  );

function piecesOf(text: string, cuts: readonly number[]): Buffer[] {
  const marks = [0, ...new Set(cuts.filter((cut) => cut > 0 && cut < text.length)), text.length];
  marks.sort((a, b) => a - b);
  return marks.slice(1).map((end, i) => Buffer.from(text.slice(marks[i]!, end), 'latin1'));
}

const withoutContinue = (written: string): string => written.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '');

t.test('however a pipeline is cut, the same requests are served and the same answers sent', async (t) => {
  let served = 0;
  let refused = 0;
  const check = async (text: string, cuts: readonly number[]): Promise<boolean> => {
    const once = await converse([Buffer.from(text, 'latin1')]);
    const cut = await converse(piecesOf(text, cuts));
    const bytes = await converse(
      piecesOf(
        text,
        Array.from({ length: text.length }, (_, i) => i),
      ),
    );
    served += once.requests.length;
    if (/ 4\d\d /.test(once.written)) refused += 1;
    return [cut, bytes].every((other) => JSON.stringify(other) === JSON.stringify(once));
  };
  await fc.assert(fc.asyncProperty(pipeline, fc.array(fc.nat(500), { maxLength: 8 }), check), RUNS);
  t.ok(served > RUNS.numRuns && refused > RUNS.numRuns / 10, `${served} served, ${refused} refused`);
});

t.test('one answer for each request that was let in, and nothing behind a refusal', async (t) => {
  const check = async (text: string): Promise<boolean> => {
    const { requests, written, isOver } = await converse([Buffer.from(text, 'latin1')]);
    let rest = withoutContinue(written);
    const statuses: number[] = [];
    while (rest !== '') {
      const answer = readMessage(rest);
      if (answer === undefined) return false;
      statuses.push(answer.status);
      rest = rest.slice(answer.size);
    }
    const refusals = statuses.filter((status) => status !== 200).length;
    const whole = requests.filter((one) => one.endsWith('"')).length;
    const isRefusalLast = refusals === 0 || (statuses.at(-1) !== 200 && isOver);
    return refusals <= 1 && isRefusalLast && statuses.length - refusals === whole;
  };
  await fc.assert(fc.asyncProperty(pipeline, check), RUNS);
  t.pass();
});

t.test('no byte sequence makes a connection throw', async (t) => {
  const noise = fc.array(
    fc.oneof(
      fc.constantFrom(
        'GET / HTTP/1.1\r\n',
        'Host: a\r\n',
        '\r\n',
        '\r\n\r\n',
        '0\r\n',
        'Transfer-Encoding: chunked\r\n',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 5 }),
    ),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(noise, async (parts) => {
      await converse(parts.map((part) => Buffer.from(part, 'latin1')));
    }),
    RUNS,
  );
  t.pass();
});
