// One attempt at one server: sends the request, watches its deadlines, and relays the answer as it comes,
// with backpressure both ways. Everything between the choice of a server and the last byte of its answer
// is here; whether there is another attempt is the caller's decision, asked when the status is known.

import type { Duplex } from 'node:stream';
import type { FieldList } from '../core/model.ts';
import type { AttemptFailure, Reason } from '../core/reasons.ts';
import type { Forward } from '../routing/decide.ts';
import type { DownstreamListener } from './downstream.ts';
import type { AttemptInput, AttemptOwner, AttemptResult, AttemptTools } from './forward-types.ts';
import { fieldsForClient, trailersForClient } from './headers.ts';
import { joinStreams } from './join-streams.ts';
import { scrub, UNSENT_FIELD } from './manager-hop.ts';
import { WheelTimer } from './timer-wheel.ts';
import type { UpstreamCall, UpstreamHandler } from './upstream.ts';

/** A body of an answer that nobody wants is read away up to this, to keep its connection. */
const DISCARDED_ANSWER_BYTES = 65_536;
// Interim answers of one exchange; a server that sends more is not getting anywhere (http-rules 6).
const MAX_INFORMED = 100;

type Phase = 'connect' | 'send' | 'wait' | 'relay' | 'discard' | 'tunnel' | 'over';

export class Attempt extends WheelTimer implements UpstreamHandler, DownstreamListener {
  readonly #input: AttemptInput;
  readonly #owner: AttemptOwner<Attempt>;
  readonly #tools: AttemptTools;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  #phase: Phase = 'connect';
  #call: UpstreamCall | null = null;
  #status = 0;
  #remaining = -1;
  #informed = 0;
  #discarded = 0;
  #isSettled = false;
  #isClientFinished = false;
  // Who keeps a body standing still: the client (it reads or sends too slowly) or the server.
  #waitsForClient = false;
  #isJudged = false;
  #isLongLived = false;
  #tunnel: Duplex | null = null;
  /** Monotonic milliseconds of the response head; 0 before it. */
  headAt = 0;

  constructor(input: AttemptInput, owner: AttemptOwner<Attempt>, tools: AttemptTools) {
    super();
    this.#input = input;
    this.#owner = owner;
    this.#tools = tools;
    this.startedAt = tools.now();
  }

  start(): void {
    const { client, server, timeouts, request } = this.#input;
    this.#tools.column.attemptBegan(server.slot, server.region);
    client.listener = this;
    this.#tools.wheel.arm(this, timeouts.connect);
    this.#call = this.#tools.upstream.start(server.origin, request, this);
    // What failed inside start() could not be cancelled yet.
    if (this.#phase === 'over') this.#call.cancel();
  }

  /** Ends the attempt from outside: the request's total time is up. */
  abort(reason: Reason, cause: string): void {
    if (this.#phase === 'over' || this.#isSettled) return;
    this.#fail({ kind: 'failed', reason, sent: 'maybe', blamesServer: false, cause });
  }

  /** Another attempt has the answer: this one ends and blames nobody. */
  giveWay(): void {
    if (this.#phase === 'over' || this.#isSettled) return;
    const { server } = this.#input;
    this.#call?.cancel();
    const waitedMs = this.#tools.now() - this.startedAt;
    if (this.headAt === 0) this.#tools.column.attemptOvertaken(server.slot, server.incarnation, waitedMs);
    this.#settle({ kind: 'overtaken' });
    this.#end();
  }

  onConnected(): void {
    this.#phase = 'send';
    this.#waitsForClient = this.#input.request.body.kind === 'streamed';
    this.#armIdle();
  }

  onBodyProgress(waits: boolean): void {
    this.#waitsForClient = !waits;
    if (this.#phase === 'send') this.#armIdle();
  }

  onSent(): void {
    if (this.#phase !== 'send') return;
    this.#phase = 'wait';
    const { response } = this.#input.timeouts;
    if (response > 0) this.#tools.wheel.arm(this, response);
    else this.#tools.wheel.disarm(this);
  }

  onInformed(status: number, fields: FieldList): void {
    this.#informed += 1;
    if (this.#informed > MAX_INFORMED) {
      this.#failWith('upstream_malformed', `more than ${MAX_INFORMED} interim answers`);
      return;
    }
    // 100 answers our own request, which expected none; 103 is for the client.
    const head = status === 103 ? fieldsForClient(fields) : 'malformed';
    if (head !== 'malformed') this.#input.client.inform(status, scrub(head.fields, this.#input.scrub));
  }

  onHead(status: number, received: FieldList, isFollowed: boolean): void {
    this.#status = status;
    this.#headCame();
    this.#tools.reports.note(this.#input.server.slot, received);
    this.#judge(status >= 500 ? 'error5xx' : 'success');
    // Before the owner is asked, who ends another attempt for a head that can be relayed.
    const head = fieldsForClient(received);
    if (head === 'malformed') {
      this.#failWith('upstream_malformed', 'Connection names a field that must stay');
      return;
    }
    const sent = status >= 500 && this.#input.server.isManager && saysUnsent(received) ? 'nothing' : 'maybe';
    if (!this.#owner.accepts(status, sent, this)) {
      this.#phase = 'discard';
      this.#armIdle();
      this.#settle({ kind: 'status', status, sent });
      return;
    }
    try {
      this.#relayHead(status, head.fields, head.contentLength);
    } catch (error) {
      // A byte that the parser let pass and that may not stand in a field.
      this.#failWith('upstream_malformed', String(error));
      return;
    }
    this.#phase = 'relay';
    if (head.isEventStream) this.#becomeLongLived();
    this.#waitsForClient = false;
    this.#armIdle();
    if (!isFollowed) this.#input.client.flush();
  }

  #relayHead(status: number, fields: string[], contentLength: number | undefined): void {
    const { client, replyFields } = this.#input;
    scrub(fields, this.#input.scrub);
    for (const text of replyFields) fields.push(text);
    const isBodiless = client.head.method === 'HEAD' || status === 204 || status === 304;
    if (isBodiless) {
      const isDeclared = client.head.method === 'HEAD' && contentLength !== undefined;
      client.sendHead(status, fields, isDeclared ? contentLength : 'none', true);
      return;
    }
    if (contentLength !== undefined) this.#remaining = contentLength;
    client.sendHead(status, fields, contentLength ?? 'chunked', true);
  }

  onData(chunk: Uint8Array, room = 0): boolean {
    if (this.#phase === 'discard') return this.#discard(chunk);
    if (this.#phase !== 'relay') return false;
    const { client } = this.#input;
    if (this.#remaining === chunk.length) {
      // The last piece: head, body and end leave in one write. onEnd has nothing left to send.
      this.#isClientFinished = true;
      return client.finishWith(chunk, room);
    }
    if (this.#remaining !== -1) this.#remaining -= chunk.length;
    const goesOn = client.write(chunk, room);
    this.#waitsForClient = !goesOn;
    this.#armIdle();
    return goesOn;
  }

  #discard(chunk: Uint8Array): boolean {
    this.#discarded += chunk.length;
    if (this.#discarded <= DISCARDED_ANSWER_BYTES) return true;
    this.#call?.cancel();
    this.#end();
    return false;
  }

  onEnd(trailers: FieldList): void {
    const { client } = this.#input;
    if (this.#phase === 'relay') {
      const passed =
        this.#input.acceptsTrailers && trailers.length > 0
          ? scrub(trailersForClient(trailers, this.#input.trailerLimit), this.#input.scrub)
          : undefined;
      if (!this.#isClientFinished) client.finish(passed);
      this.#settle({ kind: 'relayed', status: this.#status });
    }
    this.#end();
  }

  onFailed(failure: AttemptFailure): void {
    this.#fail(failure);
  }

  onUpgraded(received: FieldList, stream: Duplex): void {
    const { client, replyFields } = this.#input;
    const head = fieldsForClient(received);
    if (head === 'malformed' || client.tunnel === null) {
      stream.destroy();
      this.#failWith('upgrade_failed', 'Connection names a field that must stay');
      return;
    }
    this.#status = 101;
    this.#headCame();
    this.#judge('success');
    client.listener = null;
    this.#phase = 'tunnel';
    this.#becomeLongLived();
    this.#armIdle();
    joinStreams(client.tunnel.open([...scrub(head.fields, this.#input.scrub), ...replyFields]), stream, {
      onBytes: () => this.#armIdle(),
      onClosed: () => {
        this.#settle({ kind: 'relayed', status: 101 });
        this.#end();
      },
    });
    this.#tunnel = stream;
  }

  get serverSlot(): number {
    return this.#input.server.slot;
  }

  get decision(): Forward {
    return this.#input.decision;
  }

  #becomeLongLived(): void {
    this.#isLongLived = true;
    this.#tools.longLived.add(this);
  }

  /** The server is taken out of service: ends a stream in a way that makes its client connect again. */
  release(): void {
    if (this.#phase === 'tunnel') {
      this.#tunnel?.destroy();
      return;
    }
    if (this.#phase !== 'relay' || this.#remaining !== -1) return;
    this.#call?.cancel();
    this.#input.client.finish();
    this.#settle({ kind: 'relayed', status: this.#status });
    this.#end();
  }

  override onExpire(): void {
    const { timeouts } = this.#input;
    switch (this.#phase) {
      case 'connect':
        return this.#fail({
          kind: 'failed',
          reason: 'connect_timeout',
          sent: 'nothing',
          blamesServer: true,
          cause: `no connection within ${timeouts.connect} ms`,
        });
      case 'wait':
        return this.#failWith('response_timeout', `no response header within ${timeouts.response} ms`);
      case 'send':
        if (this.#waitsForClient) return this.#failWith('body_timeout', 'the client stopped sending', false);
        return this.#failWith('idle_timeout', 'the server stopped reading the request');
      case 'relay':
        return this.#failWith(
          'idle_timeout',
          this.#waitsForClient ? 'the client stopped reading' : 'the server stopped sending',
          !this.#waitsForClient,
        );
      case 'discard':
        this.#call?.cancel();
        return this.#end();
      case 'tunnel':
        // Joined streams end together.
        this.#tunnel?.destroy();
        return;
      case 'over':
        return;
    }
  }

  onGone(): void {
    if (this.#phase === 'over' || this.#isSettled) return;
    this.#call?.cancel();
    this.#settle({ kind: 'client_gone', status: this.#status === 0 ? undefined : this.#status });
    this.#end();
  }

  onDrain(): void {
    this.#waitsForClient = false;
    if (this.#phase === 'relay') this.#armIdle();
    this.#call?.resume();
  }

  #failWith(reason: Reason, cause: string, blamesServer = true): void {
    this.#fail({ kind: 'failed', reason, sent: 'maybe', blamesServer, cause });
  }

  #fail(failure: AttemptFailure): void {
    if (this.#phase === 'over') return;
    const { client } = this.#input;
    this.#call?.cancel();
    if (failure.blamesServer) {
      this.#judge(failure.sent === 'nothing' ? 'connect_failure' : 'other_failure');
    }
    if (this.#phase === 'relay') {
      // The client has a head that promised more: only a cut connection tells the truth.
      client.destroy();
      this.#settle({ kind: 'broken', status: this.#status, reason: failure.reason, cause: failure.cause });
    } else {
      this.#settle(failure);
    }
    this.#end();
  }

  #headCame(): void {
    this.headAt = this.#tools.now();
    this.#tools.column.waitEnded(this.#input.server.region);
  }

  #judge(outcome: 'success' | 'error5xx' | 'connect_failure' | 'other_failure'): void {
    // A body that breaks off after a good head is one more verdict; anything else counts once.
    if (this.#isJudged && outcome !== 'other_failure') return;
    this.#isJudged = true;
    const { server } = this.#input;
    const latency = this.headAt - this.startedAt;
    this.#tools.column.attemptJudged(server.slot, server.incarnation, outcome, latency);
  }

  #settle(result: AttemptResult): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#input.client.listener = null;
    this.#owner.ended(result, this);
  }

  #end(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#tools.wheel.disarm(this);
    if (this.#isLongLived) this.#tools.longLived.delete(this);
    const { slot, region } = this.#input.server;
    if (this.headAt === 0) this.#tools.column.waitEnded(region);
    this.#tools.column.attemptEnded(slot, region);
  }

  #armIdle(): void {
    const { idle } = this.#input.timeouts;
    if (idle > 0) this.#tools.wheel.arm(this, idle);
    else this.#tools.wheel.disarm(this);
  }
}

function saysUnsent(received: FieldList): boolean {
  for (let i = 0; i < received.length; i += 2) {
    if (received[i] === UNSENT_FIELD) return received[i + 1] === '?1';
  }
  return false;
}
