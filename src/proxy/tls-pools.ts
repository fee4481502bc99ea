// Connections to servers over TLS: one undici Pool per origin and worker, behind the seam of upstream.ts.
// What undici gets wrong or leaves open for a proxy is handled here: its errors become our reasons, its raw
// header bytes become Latin-1 text, an attempt can be given up before it has a connection, and a response
// head whose framing is unclear is refused before anything is relayed.

import { type Dispatcher, Pool } from 'undici';
import type { FieldList } from '../core/model.ts';
import type { AttemptFailure } from '../core/reasons.ts';
import { bodyReadable } from './body-readable.ts';
import { connectWithin } from './connector.ts';
import { kindOfField } from './field-kinds.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { OutgoingRequest, Upstream, UpstreamCall, UpstreamHandler } from './upstream.ts';
import { failureOf } from './upstream-errors.ts';
import type { PoolOptions } from './upstream-pools.ts';

// Idle connections are closed after this; shorter than common server defaults (Node 5 s), so that we are
// the one who closes and no request meets a closing socket.
const IDLE_CONNECTION_MS = 4000;

export class TlsPools implements Upstream {
  readonly #pools = new Map<string, Pool>();
  readonly #wheel: TimerWheel;
  #options: PoolOptions;

  constructor(wheel: TimerWheel, options: PoolOptions) {
    this.#wheel = wheel;
    this.#options = options;
  }

  /**
   * Keeps exactly the pools of `origins`: others finish what they have and close. Called at every swap
   * of the snapshot.
   */
  retain(origins: ReadonlySet<string>, options: PoolOptions): void {
    const isChanged = JSON.stringify(options) !== JSON.stringify(this.#options);
    this.#options = options;
    for (const [origin, pool] of this.#pools) {
      if (origins.has(origin) && !isChanged) continue;
      this.#pools.delete(origin);
      void pool.close().catch(ignore);
    }
  }

  start(origin: string, request: OutgoingRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new PoolCall(handler, request);
    const { body } = request;
    const options: Dispatcher.DispatchOptions = {
      method: request.method as Dispatcher.HttpMethod,
      path: request.target,
      headers: request.fields,
      body:
        body.kind === 'buffered' ? body.bytes : body.kind === 'streamed' ? bodyReadable(body, handler) : null,
      // undici closes the connection behind a GET or DELETE with a body unless told otherwise; our framing
      // is exact, so there is no need.
      reset: false,
    };
    request.fields.push('host', request.host);
    if (body.kind === 'streamed' && body.length !== undefined) {
      request.fields.push('content-length', String(body.length));
    }
    this.#poolOf(origin).dispatch(options, call);
    return call;
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy().catch(ignore)));
  }

  #poolOf(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (pool === undefined) {
      pool = new Pool(origin, {
        connections: this.#options.connections,
        pipelining: 1,
        keepAliveTimeout: IDLE_CONNECTION_MS,
        keepAliveMaxTimeout: IDLE_CONNECTION_MS,
        // Our own wheel times these; undici's timers are coarse.
        headersTimeout: 0,
        bodyTimeout: 0,
        maxHeaderSize: this.#options.responseHeaderBytes,
        connect: connectWithin(this.#options.connectTimeout, this.#wheel),
      });
      this.#pools.set(origin, pool);
    }
    return pool;
  }
}

function ignore(): void {}

/** One attempt: undici's handler towards the pool, our call towards the walk. */
class PoolCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #handler: UpstreamHandler;
  readonly #method: string;
  #controller: Dispatcher.DispatchController | null = null;
  #isOver = false;
  #hasHead = false;

  constructor(handler: UpstreamHandler, request: OutgoingRequest) {
    this.#handler = handler;
    this.#method = request.method;
  }

  resume(): void {
    this.#controller?.resume();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Without a controller the request waits for a connection; onRequestStart then ends it.
    this.#controller?.abort(CANCELLED);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(CANCELLED);
    else this.#handler.onConnected();
  }

  onRequestSent(): void {
    if (!this.#isOver) this.#handler.onSent();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#isOver) return;
    const fields = latin1Fields(controller.rawHeaders as readonly Buffer[]);
    if (status < 200) {
      this.#handler.onInformed(status, fields);
      return;
    }
    const fault = framingFault(fields, status, this.#method);
    if (fault !== undefined) {
      this.#fail({
        kind: 'failed',
        reason: 'upstream_malformed',
        sent: 'maybe',
        blamesServer: true,
        cause: fault,
      });
      controller.abort(CANCELLED);
      return;
    }
    this.#hasHead = true;
    this.#handler.onHead(status, fields, false);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isOver && !this.#handler.onData(chunk)) controller.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const trailers = controller.rawTrailers as readonly Buffer[] | null;
    this.#handler.onEnd(trailers === null || trailers.length === 0 ? NO_FIELDS : latin1Fields(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#fail(failureOf(error, this.#controller !== null, this.#hasHead));
  }

  #fail(failure: AttemptFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handler.onFailed(failure);
  }
}

const CANCELLED = new Error('cancelled by the proxy');
const NO_FIELDS: FieldList = [];

/** Names lower-case; every byte of a value one character, as it will be written again. */
function latin1Fields(raw: readonly Buffer[]): string[] {
  const fields = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i += 2) {
    fields[i] = kindOfField(raw[i]!.toString('latin1')).name;
    fields[i + 1] = raw[i + 1]!.toString('latin1');
  }
  return fields;
}

/**
 * What undici's parser lets pass and an intermediary must not (http-rules 6): several lengths, a length
 * that is no number, a transfer coding other than chunked, both at once.
 */
function framingFault(fields: FieldList, status: number, method: string): string | undefined {
  let lengths = 0;
  let encodings = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    if (name === 'content-length') {
      lengths += 1;
      if (!/^\d{1,16}$/.test(value)) return 'Content-Length is not a length';
    } else if (name === 'transfer-encoding') {
      encodings += 1;
      if (value.toLowerCase() !== 'chunked') return 'Transfer-Encoding other than chunked';
    }
  }
  if (lengths > 1) return 'more than one Content-Length';
  if (encodings > 1) return 'more than one Transfer-Encoding';
  if (lengths > 0 && encodings > 0) return 'both Content-Length and Transfer-Encoding';
  if (status === 101) return `101 to a ${method} that asked for no upgrade`;
  return undefined;
}
