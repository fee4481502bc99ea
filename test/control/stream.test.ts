// Server-sent events: what comes, what a slow reader loses, who is let in.

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { STREAM_EVENTS, type StreamEvent, type StreamFeed, StreamHub } from '../../src/control/stream.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';
import { UNWATCHED } from '../rig/wire.ts';

async function startHub(t: Test, feed: StreamFeed) {
  const hub = new StreamHub(feed);
  const responses: ServerResponse[] = [];
  let wanted: ReadonlySet<StreamEvent> = new Set(STREAM_EVENTS);
  const server = createServer((_request, response) => {
    responses.push(response);
    if (hub.isFull) response.writeHead(503).end();
    else hub.add(response, wanted);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.teardown(() => {
    hub.close();
    server.closeAllConnections();
    server.close();
  });
  const open = async (events: readonly StreamEvent[] = STREAM_EVENTS): Promise<IncomingMessage> => {
    wanted = new Set(events);
    const [response] = (await once(request({ port, host: '127.0.0.1' }).end(), 'response')) as [
      IncomingMessage,
    ];
    return response;
  };
  return { hub, open, responses };
}

/** Reads until the text is there. */
async function until(stream: IncomingMessage, wanted: string): Promise<string> {
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.includes(wanted)) return text;
  }
  throw new Error(`ended without ${wanted}: ${text}`);
}

t.test('a watcher gets the whole first, then what changes, of the kinds it asked for', async (t) => {
  let looks = 0;
  const { open } = await startHub(t, {
    whole: async () => [
      { event: 'plan', data: { tag: 'x.1' } },
      { event: 'health', data: {} },
    ],
    changes: async () => [{ event: 'plan', data: { look: ++looks } }],
  });
  const stream = await open(['plan']);
  t.equal(stream.headers['content-type'], 'text/event-stream');
  const text = await until(stream, '"look":');
  t.match(text, /^retry: \d+\n\nevent: plan\ndata: {"tag":"x.1"}\n\nevent: plan\ndata: {"look":1}\n\n/);
  t.notMatch(text, 'health');
});

t.test('a reader that is too slow loses events and is told how many', async (t) => {
  const big = { filler: 'x'.repeat(100_000) };
  const { open, responses } = await startHub(t, {
    whole: async () => [],
    changes: async () => Array.from({ length: 200 }, () => ({ event: 'plan' as const, data: big })),
  });
  const stream = await open();
  stream.pause();
  for (let tries = 0; responses[0]!.writableLength < 256 * 1024; tries++) {
    if (tries > 2000) throw new Error('nothing waits');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.ok(responses[0]!.writableLength < 256 * 1024 + 200_000, 'what waits for it is bounded');
  stream.resume();
  t.match(await until(stream, 'event: dropped'), /event: dropped\ndata: {"events":\d+}/);
});

t.test('so many may watch, and who leaves makes room', async (t) => {
  const { open, hub } = await startHub(t, { whole: async () => [], changes: async () => [] });
  const streams = await Promise.all(Array.from({ length: 100 }, () => open()));
  t.ok(streams.every(({ statusCode }) => statusCode === 200));
  t.equal((await open()).statusCode, 503);
  const gone = once(streams[0]!, 'close');
  streams[0]!.destroy();
  await gone;
  for (let tries = 0; hub.isFull && tries < 1000; tries++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal((await open()).statusCode, 200);
});

t.test(
  'a proxy tells of its plan, its regions and its decisions, and lets watchers go at its end',
  async (t) => {
    const server = await startServer(t, 'up');
    const proxy = await startProxy(
      t,
      proxyConfig({
        health: UNWATCHED,
        trace: { sample: 1 },
        regions: [{ id: 'up', servers: [server.url] }],
      }),
    );
    const [stream] = (await once(request(`${proxy.controlUrl}/stream`).end(), 'response')) as [
      IncomingMessage,
    ];
    const first = await until(stream, 'event: shift');
    t.match(first, /event: plan\ndata: {"tag":"[0-9A-Z]{26}\.1"/);
    t.match(first, /event: health\ndata: {"regions":\[{"id":"up"/);
    const later = until(stream, 'event: decision');
    const traffic = setInterval(() => void fetch(`${proxy.url}/x`).catch(() => undefined), 50);
    t.match(await later, /"stage":"pick"/);
    clearInterval(traffic);
    t.equal((await fetch(`${proxy.controlUrl}/stream?events=plan,weather`)).status, 400);
    const ended = once(stream.resume(), 'end');
    await proxy.stop();
    await ended;
  },
);
