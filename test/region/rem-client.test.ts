// The proxy's ear at a manager, with answers that a test gives instead of a network.

import t, { type Test } from 'tap';
import { pauseAfter, RemClient } from '../../src/region/rem-client.ts';
import { MAX_REPORT_BYTES, type RegionReport } from '../../src/region/report.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { HandClock } from '../rig/clock.ts';

function report(epoch: number, parts: Record<string, unknown> = {}): Record<string, unknown> {
  return { region: 'a', incarnation: '01B', epoch, dataUrl: 'http://127.0.0.1:9500', servers: [], ...parts };
}

const json = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status });

class Rig {
  readonly asked: { readonly url: URL; readonly authorization: string | undefined }[] = [];
  readonly heard: (RegionReport | undefined)[] = [];
  readonly measured: RegionReport[] = [];
  readonly clock = new HandClock();
  readonly client: RemClient;
  readonly metrics = new MetricsRegistry();
  onAsked: () => void = () => {};
  #answers: (Response | Error)[];
  #idle = Promise.withResolvers<void>();

  constructor(t: Test, answers: readonly (Response | Error)[], refusedEpoch = -1) {
    this.#answers = [...answers];
    const quiet = (): void => {};
    const log: Logger = {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: quiet,
      setLevel: quiet,
      flush: async () => {},
    };
    this.client = new RemClient({
      region: 'a',
      url: 'http://rem.test:9501',
      token: 'secret',
      interval: 200,
      timeout: 1000,
      proxy: 'p1',
      addresses: () => ['127.0.0.1:8080'],
      clock: this.clock,
      log,
      metrics: this.metrics,
      fetch: async (url, init) => this.#answer(url as URL, init),
      onReport: (heard) => {
        this.heard.push(heard);
        return heard?.epoch !== refusedEpoch;
      },
      onMeasured: (report) => this.measured.push(report),
    });
    t.teardown(() => this.client.close());
  }

  /** Runs until every answer was given. */
  async run(): Promise<void> {
    void this.client.run();
    await this.#idle.promise;
  }

  async #answer(url: URL, init: RequestInit | undefined): Promise<Response> {
    const headers = new Headers(init?.headers);
    this.asked.push({ url, authorization: headers.get('authorization') ?? undefined });
    this.onAsked();
    const next = this.#answers.shift();
    if (next === undefined) {
      this.#idle.resolve();
      // A long poll that nobody answers any more.
      return new Promise((_, reject) => {
        init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      });
    }
    if (next instanceof Error) throw next;
    return next;
  }
}

t.test('the first poll asks for what there is, later ones wait for what comes and acknowledge', async (t) => {
  const rig = new Rig(t, [json(report(5)), new Response(null, { status: 304 }), json(report(6))]);
  await rig.run();
  t.strictSame(
    rig.heard.map((heard) => heard?.epoch),
    [5, 6],
  );
  const [first, second, , fourth] = rig.asked.map(({ url }) => url.searchParams);
  t.equal(first!.get('after'), null);
  t.equal(first!.get('proxy'), 'p1');
  t.equal(first!.get('addresses'), '127.0.0.1:8080');
  t.equal(second!.get('after'), '5');
  t.equal(second!.get('wait'), '200ms');
  t.equal(fourth!.get('ack'), '6');
  t.ok(rig.asked.every(({ authorization }) => authorization === 'Bearer secret'));
});

t.test('what is merely measured is asked for every few seconds, and is no news', async (t) => {
  const rig = new Rig(t, [
    json(report(5, { telemetry: { cpu: 0.1 } })),
    new Response(null, { status: 304 }),
    json(report(5, { telemetry: { cpu: 0.9 } })),
    new Response(null, { status: 304 }),
  ]);
  rig.onAsked = () => {
    if (rig.asked.length === 2) rig.clock.pass(5000);
  };
  await rig.run();
  t.strictSame(
    rig.asked.map(({ url }) => url.searchParams.get('after')),
    [null, '5', null, '5', '5'],
  );
  t.strictSame(
    rig.heard.map((heard) => heard?.telemetry.cpu),
    [0.1],
  );
  t.strictSame(
    rig.measured.map(({ telemetry }) => telemetry.cpu),
    [0.9],
  );
});

t.test('an older report is not believed, one of a later start of the manager is', async (t) => {
  const answers = [
    report(5),
    report(4),
    report(9, { incarnation: '01A' }),
    report(1, { incarnation: '01C' }),
  ];
  const rig = new Rig(
    t,
    answers.map((answer) => json(answer)),
  );
  await rig.run();
  t.strictSame(
    rig.heard.map((heard) => heard && `${heard.incarnation} ${heard.epoch}`),
    ['01B 5', undefined, '01C 1'],
  );
});

t.test('only what was acted upon is acknowledged', async (t) => {
  const rig = new Rig(t, [json(report(5)), json(report(6)), json(report(7))], 6);
  await rig.run();
  t.strictSame(
    rig.asked.map(({ url }) => [url.searchParams.get('after'), url.searchParams.get('ack')]),
    [
      [null, null],
      ['5', '5'],
      ['6', '5'],
      ['7', '7'],
    ],
    'and a refused one is not asked for without end',
  );
});

t.test('a manager that contradicts itself is not believed: its word counts as silence', async (t) => {
  const rig = new Rig(t, [json(report(5)), json(report(4)), json(report(3)), json(report(5))]);
  await rig.run();
  t.strictSame(
    rig.heard.map((heard) => heard?.epoch),
    [5, undefined, 5],
  );
  t.match(await rig.metrics.text(), /foreshard_rem_poll_failures_total\{region="a"\} 2/);
});

t.test('a life that looks older is believed once the known one is never heard any more', async (t) => {
  const older = () => json(report(1, { incarnation: '01A' }));
  const rig = new Rig(t, [json(report(5)), older(), older(), older(), older(), older()]);
  await rig.run();
  t.strictSame(
    rig.heard.map((heard) => heard?.incarnation),
    ['01B', undefined, '01A'],
  );
});

t.test('a manager that answers at once, always, does not keep the proxy busy', async (t) => {
  const same = Array.from({ length: 8 }, () => new Response(null, { status: 304 }));
  const rig = new Rig(t, [json(report(5)), ...same]);
  // A timer that is due in 20 ms runs before one that is due in 50, however late both are.
  let ticks = 0;
  const ticking = setInterval(() => {
    ticks += 1;
  }, 20);
  t.teardown(() => clearInterval(ticking));
  const ticksAt: number[] = [];
  rig.onAsked = () => ticksAt.push(ticks);
  await rig.run();
  t.equal(ticksAt.length, 10);
  t.equal(new Set(ticksAt).size, 10, 'a pause lies between two polls');
});

t.test('one lost poll is noise, the next in a row is silence, said once', async (t) => {
  const lost = new Error('lost');
  const rig = new Rig(t, [json(report(5)), lost, json(report(6)), lost, lost, lost, json(report(6))]);
  await rig.run();
  t.strictSame(
    rig.heard.map((heard) => heard?.epoch),
    [5, 6, undefined, 6],
    'and the manager is believed again when it is heard again, with no news',
  );
  t.match(await rig.metrics.text(), /foreshard_rem_poll_failures_total\{region="a"\} 4/);
});

t.test('what is no report is not taken', async (t) => {
  const rig = new Rig(t, [
    json(report(5)),
    new Response('<html>'),
    json(report(6, { servers: [{ id: 'x' }] })),
    json(report(7, { region: 'b' })),
    json(report(8, { dataUrl: 'file:///etc/passwd' })),
    json({ error: 'no' }, 500),
    new Response('x'.repeat(MAX_REPORT_BYTES + 1)),
  ]);
  await rig.run();
  t.strictSame(
    rig.heard.map((heard) => heard?.epoch),
    [5, undefined],
  );
  t.equal(rig.client.report?.epoch, 5, 'the last good one stays');
});

t.test(
  'a manager that answers at once is asked seldom, one that keeps us waiting is asked again at once',
  async (t) => {
    t.equal(pauseAfter(0), 50);
    t.equal(pauseAfter(20), 30);
    t.equal(pauseAfter(50), 0);
    t.equal(pauseAfter(2000), 0);
  },
);
