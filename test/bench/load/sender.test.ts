// The parts of our own load generator: keys, schedules, mixes, the response reader, and the sender over
// loopback sockets that misbehave.

import net from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { constantArrivals, poissonArrivals } from '../../../bench/load/sender/arrivals.ts';
import { keySource, parseKeyPlan } from '../../../bench/load/sender/keys.ts';
import type { SenderPlan, SenderResult } from '../../../bench/load/sender/plan.ts';
import { kindSource, parseRequestKind, requestTemplate } from '../../../bench/load/sender/request-mix.ts';
import { ResponseReader } from '../../../bench/load/sender/response-reader.ts';
import { splitPlan } from '../../../bench/load/sender/run-senders.ts';
import { Sender } from '../../../bench/load/sender/sender.ts';
import { Tally } from '../../../bench/load/sender/tally.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { seededRandom } from '../../../src/core/random.ts';

const DRAWS = 200_000;

/** Pearson's statistic of draws against expected shares. */
function chiSquare(counts: readonly number[], shares: readonly number[]): number {
  return counts.reduce((sum, count, i) => {
    const expected = shares[i]! * DRAWS;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
}

t.test('Zipf keys fall as their law says, for exponents below, at and above one', async (t) => {
  for (const exponent of [0.5, 1, 1.1, 2.5]) {
    const count = 20;
    const next = keySource({ kind: 'zipf', count, exponent }, seededRandom(7));
    const counts = new Array<number>(count).fill(0);
    for (let i = 0; i < DRAWS; i++) counts[next() - 1]! += 1;
    const weights = counts.map((_, i) => (i + 1) ** -exponent);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const statistic = chiSquare(
      counts,
      weights.map((weight) => weight / total),
    );
    // 19 degrees of freedom: the 0.9999 quantile is 50.8.
    t.ok(statistic < 50.8, `exponent ${exponent}: chi-square ${statistic.toFixed(1)}`);
  }
});

t.test('Zipf keys stay within a billion ranks, and uniform ones are even', async (t) => {
  const far = keySource({ kind: 'zipf', count: 1e9, exponent: 0.3 }, seededRandom(1));
  const near = keySource({ kind: 'zipf', count: 1, exponent: 1.1 }, seededRandom(1));
  for (let i = 0; i < 10_000; i++) {
    const key = far();
    if (key < 1 || key > 1e9 || !Number.isInteger(key)) t.fail(`rank ${key}`);
  }
  t.equal(near(), 1);
  const even = keySource({ kind: 'uniform', count: 10 }, seededRandom(3));
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < DRAWS; i++) counts[even() - 1]! += 1;
  t.ok(chiSquare(counts, new Array<number>(10).fill(0.1)) < 33.7, 'nine degrees of freedom, 0.9999 quantile');
});

t.test('key plans and request kinds are read, and refused with what is allowed', async (t) => {
  t.strictSame(parseKeyPlan('zipf:1000:1.3'), { kind: 'zipf', count: 1000, exponent: 1.3 });
  t.strictSame(parseKeyPlan('uniform:5'), { kind: 'uniform', count: 5 });
  t.strictSame(parseRequestKind('POST:16KiB@2'), { method: 'POST', bodyBytes: 16_384, weight: 2 });
  t.strictSame(parseRequestKind('GET'), { method: 'GET', bodyBytes: 0, weight: 1 });
  for (const wrong of ['zipf', 'zipf:0', 'uniform:5:2', 'zipf:9:0']) {
    t.match(parseKeyPlan(wrong), /uniform:N or zipf:N/, wrong);
  }
  for (const wrong of ['get', 'GET:', 'POST:1TiB', 'GET@0', 'CONNECT']) {
    t.match(parseRequestKind(wrong), /METHOD\[:BODY\]/, wrong);
  }
});

t.test('a constant rate does not drift, and phases interleave to the whole rate', async (t) => {
  const whole = constantArrivals(3000);
  const parts = [0, 1, 2].map((i) => constantArrivals(1000, i / 3));
  for (let i = 0; i < 30_000; i++) {
    const due = whole.takeMs();
    const part = parts[i % 3]!.takeMs();
    if (Math.abs(due - i / 3) > 1e-6 || Math.abs(part - due) > 1e-6) t.fail(`request ${i}: ${due}, ${part}`);
  }
  t.equal(whole.peekMs(), 10_000, 'ten seconds on after 30,000 requests');
});

t.test('Poisson arrivals hold the rate with exponential gaps', async (t) => {
  const arrivals = poissonArrivals(1000, seededRandom(5));
  let [last, longGaps] = [0, 0];
  for (let i = 0; i < DRAWS; i++) {
    const due = arrivals.takeMs();
    if (due < last) t.fail('a schedule never goes back');
    if (due - last > 1) longGaps += 1;
    last = due;
  }
  t.ok(Math.abs(last / DRAWS - 1) < 0.01, `mean gap ${(last / DRAWS).toFixed(4)} ms`);
  t.ok(Math.abs(longGaps / DRAWS - Math.exp(-1)) < 0.005, 'e^-1 of the gaps exceed the mean');
});

t.test('a mix is drawn by weight', async (t) => {
  const kinds = [
    { method: 'GET', bodyBytes: 0, weight: 9 },
    { method: 'POST', bodyBytes: 10, weight: 1 },
  ];
  const next = kindSource(kinds, seededRandom(2));
  let posts = 0;
  for (let i = 0; i < DRAWS; i++) posts += next();
  t.ok(Math.abs(posts / DRAWS - 0.1) < 0.005);
});

t.test('a request carries its key, its length and the headers given, each once', async (t) => {
  const options = { host: 'h:1', path: '/o/{key}', headers: ['accept: */*'], keyHeader: 'x-user-id' };
  const template = requestTemplate({ method: 'POST', bodyBytes: 3, weight: 1 }, options);
  t.equal(
    template.head(7),
    'POST /o/user-7 HTTP/1.1\r\nhost: h:1\r\naccept: */*\r\ncontent-length: 3\r\nx-user-id: user-7\r\n\r\n',
  );
  t.equal(template.body?.length, 3);
  const own = requestTemplate(
    { method: 'GET', bodyBytes: 0, weight: 1 },
    { ...options, path: '/', headers: ['Host: other'], keyHeader: '' },
  );
  t.equal(own.head(7), 'GET / HTTP/1.1\r\nHost: other\r\n\r\n');
});

const RESPONSES: readonly { readonly name: string; readonly wire: string; readonly body: number }[] = [
  { name: 'length', wire: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', body: 5 },
  { name: 'empty', wire: 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n', body: 0 },
  { name: 'no content', wire: 'HTTP/1.1 204 No Content\r\n\r\n', body: 0 },
  {
    name: 'chunked with extension and trailer',
    wire: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx: y\r\n\r\n',
    body: 31,
  },
  {
    name: 'early hints first',
    wire: 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    body: 2,
  },
];

t.test('a response ends where it ends, however the bytes are cut', async (t) => {
  for (const { name, wire, body } of RESPONSES) {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: wire.length - 1 }), { maxLength: 12 }), (cuts) => {
        const reader = new ResponseReader();
        reader.begin(true);
        const marks = [0, ...cuts.toSorted((a, b) => a - b), wire.length];
        const fed = marks.slice(1).map((end, i) => reader.feed(Buffer.from(wire.slice(marks[i], end))));
        return fed.at(-1) === 'done' && !fed.slice(0, -1).includes('malformed') && reader.bodyBytes === body;
      }),
      { numRuns: 200 },
    );
    t.pass(name);
  }
});

t.test('what is no response is malformed, and what nobody asked for too', async (t) => {
  const feed = (wire: string): string => {
    const reader = new ResponseReader();
    reader.begin(true);
    return reader.feed(Buffer.from(wire));
  };
  t.equal(feed('SSH-2.0-x\r\n\r\n'), 'malformed');
  t.equal(feed('HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n'), 'malformed');
  t.equal(feed('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'), 'malformed');
  t.equal(feed('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'), 'malformed');
  t.equal(feed('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabXX'), 'malformed');
  t.equal(feed('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'), 'malformed');
  t.equal(feed('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab'), 'malformed', 'a byte too many');
  t.equal(feed(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`), 'malformed', 'a head without end');
  t.equal(feed('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab'), 'more');
});

t.test('the reader knows which connections live on', async (t) => {
  const keeps = (head: string): boolean => {
    const reader = new ResponseReader();
    reader.begin(true);
    reader.feed(Buffer.from(`${head}\r\n\r\n`));
    return reader.keepsAlive;
  };
  t.ok(keeps('HTTP/1.1 200 OK\r\ncontent-length: 0'));
  t.notOk(keeps('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Close'));
  t.notOk(keeps('HTTP/1.0 200 OK\r\ncontent-length: 0'));
  t.notOk(keeps('HTTP/1.1 200 OK'), 'ended by closing');
});

t.test('percentiles come from all that waited, timeouts too', async (t) => {
  const tally = new Tally({ header: 'foreshard-route', member: 'region' });
  const reader = new ResponseReader();
  reader.begin(true);
  reader.feed(
    Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nForeshard-Route: region=eu, shard=1\r\n\r\n'),
  );
  for (let ms = 1; ms <= 98; ms++) tally.noteAnswer(reader, ms, ms / 2);
  tally.noteFailure('timeout', 5000);
  tally.noteFailure('reset', 9000);
  tally.noteWait(6000);
  const { latency, service, counts } = tally.result(1000, 1);
  t.equal(latency.count, 100, 'a reset waited for nothing: it is not in');
  t.ok(Math.abs(latency.percentile(50) - 50_000) < 60, `p50 ${latency.percentile(50)} us`);
  t.ok(latency.percentile(99) >= 5_000_000 - 5000 && latency.max >= 6_000_000 - 6000);
  t.equal(service.count, 98, 'answers only');
  t.strictSame(counts.groups, { eu: 98 });
  t.strictSame(counts.failures, { connect: 0, reset: 1, timeout: 1, malformed: 0 });
});

const PLAN: SenderPlan = {
  target: {
    secure: false,
    address: '127.0.0.1',
    port: 0,
    host: 'test',
    serverName: '',
    path: '/',
    insecure: false,
  },
  connections: 1,
  rate: null,
  arrivals: 'constant',
  phase: 0,
  durationMs: 10_000,
  requests: 10,
  kinds: [{ method: 'GET', bodyBytes: 0, weight: 1 }],
  keys: { kind: 'none' },
  keyHeader: 'x-user-id',
  headers: [],
  timeoutMs: 5000,
  seed: 1,
  countBy: null,
  spin: false,
};

t.test('a plan is split without losing a request, a connection or any rate', async () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 63 }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 9999 }),
      (n, c, r) => {
        const parts = splitPlan({ ...PLAN, connections: c, requests: r, rate: 100 }, n + 1);
        const sum = (pick: (plan: SenderPlan) => number): number =>
          parts.reduce((total, p) => total + pick(p), 0);
        const whole = parts.every((part) => part.connections > 0 && part.requests > 0);
        const rate = Math.abs(sum((p) => p.rate ?? 0) - 100) < 1e-9;
        return whole && rate && sum((p) => p.connections) === c && sum((p) => p.requests) === r;
      },
    ),
  );
});

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** A server that does `script[n]` with its nth request; the last entry repeats. */
async function scripted(
  t: Test,
  script: readonly ((socket: net.Socket) => void)[],
): Promise<{ readonly port: number; readonly requests: () => number }> {
  let requests = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      // Requests here are small and never pipelined: one chunk is one request.
      if (!chunk.includes('\r\n\r\n')) return;
      script[Math.min(requests, script.length - 1)]!(socket);
      requests += 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, requests: () => requests };
}

async function send(plan: Partial<SenderPlan>, port: number): Promise<SenderResult> {
  const sender = new Sender(
    { ...PLAN, ...plan, target: { ...PLAN.target, port } },
    systemClock,
    () => undefined,
  );
  const result = await sender.run();
  if (result === null) throw new Error('no connection');
  return result;
}

const answer = (socket: net.Socket): void => void socket.write(OK);

t.test('each request is counted once, whatever became of it', async (t) => {
  const server = await scripted(t, [
    answer,
    (socket) => void socket.write('garbage\r\n\r\n'),
    (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut'),
    (socket) => void socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end'),
    (socket) => void socket.write('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n'),
    () => undefined,
    answer,
  ]);
  const { counts, latency } = await send({ requests: 8, timeoutMs: 200 }, server.port);
  t.equal(server.requests(), 8, 'exactly as many as planned');
  t.strictSame(counts.statuses, { 200: 4, 503: 1 });
  t.strictSame(counts.failures, { connect: 0, reset: 1, timeout: 1, malformed: 1 });
  t.equal(counts.sent, 8);
  t.equal(counts.bodyBytes, 2 + 13 + 0 + 2 + 2);
  t.ok(latency.max >= 200_000, 'the one that got no answer waited its timeout');
});

t.test('in an open loop the wait for a stalled server belongs to those who waited', async (t) => {
  const stallMs = 300;
  const server = await scripted(t, [
    answer,
    (socket) => void setTimeout(() => answer(socket), stallMs),
    answer,
  ]);
  const { counts, latency, service } = await send({ rate: 200, durationMs: 500, requests: 1e6 }, server.port);
  t.equal(counts.sent, 100, 'all that were due');
  t.equal(server.requests(), 100);
  // Due every 5 ms, the stall holds up some sixty; half of these waited more than 150 ms.
  t.ok(latency.percentile(70) >= 100_000, `p70 from due time ${latency.percentile(70)} us`);
  t.ok(service.percentile(70) < latency.percentile(70), 'from sending it looks well');
});

t.test('what was due and never sent is told, and is in the percentiles', async (t) => {
  const server = await scripted(t, [() => undefined]);
  const { counts, latency } = await send(
    { rate: 100, durationMs: 200, requests: 1e6, timeoutMs: 300 },
    server.port,
  );
  t.equal(counts.answered, 0);
  t.equal(counts.sent + counts.unsent, 20, 'twenty were due');
  t.equal(counts.failures.timeout, counts.sent);
  t.equal(latency.count, 20);
});

t.test('a target that refuses is a failure, not a run', async (t) => {
  const server = await scripted(t, [answer]);
  const gone = net.createServer();
  await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const { port } = gone.address() as net.AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  await t.rejects(send({}, port));
  t.equal(server.requests(), 0);
});
