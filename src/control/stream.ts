// Server-sent events: what changed, to whoever watches. Looked at once a second for all of them together, and only
// while somebody watches. A client that reads slower than things happen loses events and is told how many; nobody's
// slowness is kept in memory.

import type { ServerResponse } from 'node:http';

export const STREAM_EVENTS = ['plan', 'risk', 'shift', 'health', 'decision'] as const;
export type StreamEvent = (typeof STREAM_EVENTS)[number];

export interface StreamMessage {
  readonly event: StreamEvent;
  readonly data: object;
}

/** Looks for what is new since it was asked last; a new watcher gets the whole of it. */
export interface StreamFeed {
  changes(): Promise<readonly StreamMessage[]>;
  whole(): Promise<readonly StreamMessage[]>;
}

const MAX_CLIENTS = 100;
// What a slow client may have waiting: two plans with their tables.
const MAX_WAITING_BYTES = 256 * 1024;
const LOOK_MS = 1000;
// Shorter than what common proxies keep idle.
const HEARTBEAT_LOOKS = 15;

interface Client {
  readonly response: ServerResponse;
  readonly wanted: ReadonlySet<StreamEvent>;
  dropped: number;
}

export class StreamHub {
  readonly #feed: StreamFeed;
  readonly #clients = new Set<Client>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  #isLooking = false;

  constructor(feed: StreamFeed) {
    this.#feed = feed;
  }

  get isFull(): boolean {
    return this.#clients.size >= MAX_CLIENTS;
  }

  /** Takes over an answer whose head has not been sent. */
  add(response: ServerResponse, wanted: ReadonlySet<StreamEvent>): void {
    const client: Client = { response, wanted, dropped: 0 };
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write('retry: 2000\n\n');
    this.#clients.add(client);
    response.on('close', () => this.#remove(client));
    response.on('error', () => this.#remove(client));
    void this.#feed.whole().then(
      (messages) => this.#send(client, written(messages)),
      () => undefined,
    );
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS);
  }

  close(): void {
    for (const { response } of this.#clients) response.end();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clients.clear();
  }

  #remove(client: Client): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#looks += 1;
    try {
      const messages = written(await this.#feed.changes());
      for (const client of this.#clients) {
        this.#send(client, messages);
        if (this.#looks % HEARTBEAT_LOOKS === 0) write(client, ': still here\n\n');
      }
    } catch {
      // What could not be told now is told with the next look.
    } finally {
      this.#isLooking = false;
    }
  }

  /** In one piece: what is written to fifty watchers one by one is fifty times as many calls of the kernel. */
  #send(client: Client, messages: readonly Written[]): void {
    let piece = '';
    const hasRoom = (): boolean => client.response.writableLength + piece.length < MAX_WAITING_BYTES;
    for (const { event, chunk } of messages) {
      if (!client.wanted.has(event)) continue;
      if (client.dropped > 0 && hasRoom()) {
        piece += text('dropped', { events: client.dropped });
        client.dropped = 0;
      }
      if (hasRoom()) piece += chunk;
      else client.dropped += 1;
    }
    if (piece !== '') write(client, piece);
  }
}

function write({ response }: Client, chunk: string): void {
  if (!response.writableEnded && !response.destroyed) response.write(chunk);
}

/** A message is put into words once, however many watch. */
interface Written {
  readonly event: StreamEvent;
  readonly chunk: string;
}

const written = (messages: readonly StreamMessage[]): Written[] =>
  messages.map(({ event, data }) => ({ event, chunk: text(event, data) }));

function text(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
