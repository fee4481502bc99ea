import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { PlanPuller } from '../../src/compose/plan-puller.ts';
import { PLAN_AGE_FIELD } from '../../src/plan/plan-exchange.ts';
import type { Logger } from '../../src/telemetry/logger.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Rig {
  /** What came in, in order: method and target, then what the puller made of it. */
  readonly log: string[];
  readonly warnings: string[];
  known: string | undefined;
  /** The next answers, one a request; the last one is given for ever. */
  readonly answers: Answer[];
  /** Resolves when so many entries are in the log. */
  reached(entries: number): Promise<void>;
}

async function start(t: Test, answers: Answer[], token?: string): Promise<Rig> {
  const waiting: { entries: number; done(): void }[] = [];
  const log: string[] = [];
  const say = (entry: string): void => {
    log.push(entry);
    for (const one of waiting) if (log.length >= one.entries) one.done();
  };
  const rig: Rig = {
    log,
    warnings: [],
    known: undefined,
    answers,
    reached: (entries) =>
      new Promise((done) => {
        waiting.push({ entries, done });
        if (log.length >= entries) done();
      }),
  };
  const server = createServer((request, response) => {
    say(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`.trim());
    const answer = rig.answers.length > 1 ? rig.answers.shift()! : rig.answers[0]!;
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const puller = new PlanPuller({
    source: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    interval: 10,
    log: { warn: ({ problem }: { problem: string }) => void rig.warnings.push(problem) } as unknown as Logger,
    known: () => rig.known,
    onPlan: (document, ageMs) => {
      const { tag } = document as { tag?: string };
      rig.known = tag;
      say(`plan ${tag} ${ageMs}`);
    },
    onUnchanged: (ageMs) => say(`unchanged ${ageMs}`),
    onResult: (result) => say(result),
  });
  t.teardown(() => {
    puller.close();
    server.closeAllConnections();
    server.close();
  });
  return rig;
}

const plan =
  (tag: string, age?: string, more: object = {}): Answer =>
  (_, response) => {
    if (age !== undefined) response.setHeader(PLAN_AGE_FIELD, age);
    response.end(JSON.stringify({ tag, ...more }));
  };
const status =
  (code: number, age?: string): Answer =>
  (_, response) => {
    if (age !== undefined) response.setHeader(PLAN_AGE_FIELD, age);
    response.writeHead(code).end();
  };
const never: Answer = () => undefined;

t.test('it asks for what comes after the plan it has, and waits at the engine', async (t) => {
  const rig = await start(t, [plan('x.1', '0.250'), status(304, '1.5'), plan('x.2', '0'), never], 'secret');
  await rig.reached(10);
  t.strictSame(rig.log.slice(0, 10), [
    'GET /plan Bearer secret',
    'plan x.1 250',
    'ok',
    'GET /plan?after=x.1&wait=40ms Bearer secret',
    'unchanged 1500',
    'unchanged',
    'GET /plan?after=x.1&wait=40ms Bearer secret',
    'plan x.2 0',
    'ok',
    'GET /plan?after=x.2&wait=40ms Bearer secret',
  ]);
  t.strictSame(rig.warnings, []);
});

t.test(
  "without the field a plan's own stamps say how old it is; an unchanged one renews nothing",
  async (t) => {
    const stamps = { now: '2026-01-01T00:00:07.000Z', evaluatedAt: '2026-01-01T00:00:05.000Z' };
    const rig = await start(t, [plan('x.1', undefined, stamps), status(304), never]);
    await rig.reached(6);
    t.equal(rig.log[1], 'plan x.1 2000');
    t.strictSame(rig.log.slice(3, 5), ['GET /plan?after=x.1&wait=40ms', 'unchanged']);
  },
);

t.test('what is no plan costs nothing but the news, and is told once for each reason', async (t) => {
  const broken: Answer = (_, response) => void response.end('{"tag":');
  const cut: Answer = (_, response) => void response.writeHead(200, { 'content-length': '99' }).destroy();
  const moved: Answer = (_, response) => void response.writeHead(302, { location: '/elsewhere' }).end();
  const rig = await start(t, [status(503), status(503), broken, cut, moved, plan('x.9', '0'), never]);
  await rig.reached(13);
  t.strictSame(
    rig.log.filter((entry) => !entry.startsWith('GET')),
    [...Array(5).fill('failed'), 'plan x.9 0', 'ok'],
  );
  t.equal(rig.warnings.length, 4, rig.warnings.join(' | '));
  t.equal(rig.warnings[0], 'status 503');
});

t.test('an answer without end is cut', async (t) => {
  const chunk = Buffer.alloc(1024 * 1024, 32);
  const endless: Answer = (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };
  const rig = await start(t, [endless, never]);
  await rig.reached(2);
  t.equal(rig.log[1], 'failed');
  t.match(rig.warnings[0], /^the plan must be at most \d+ bytes$/);
});
