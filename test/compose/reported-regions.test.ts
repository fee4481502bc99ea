// What a proxy makes of managers that are silent, lie or change their mind: a manager of the test answers
// whatever it likes, over a real socket.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { ReportedRegions } from '../../src/compose/reported-regions.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { systemClock } from '../../src/core/clock.ts';
import { MAX_REPORT_BYTES } from '../../src/region/report.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { MetricsRegistry } from '../../src/telemetry/registry.ts';
import { until } from '../rig/traffic.ts';

const DATA_URL = 'http://10.0.0.1:9500';
const OWN = '127.0.0.1:8080';
const LOCK = { residency: [{ path: '/eu/**', regions: ['a'] }] };

class Rig {
  readonly reported: ReportedRegions;
  readonly config: Config;
  readonly problems: unknown[] = [];
  readonly suspects: string[] = [];
  readonly acks: (string | null)[] = [];
  polls = 0;
  changes = 0;
  /** What the manager answers; undefined = it hangs up. */
  answer: Record<string, unknown> | string | undefined;

  constructor(t: Test, server: Server) {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.config = configSchema.parse({
      listen: [{ address: OWN }],
      healthCheckInterval: '100ms',
      regions: [
        { id: 'a', rem: url },
        { id: 'b', servers: ['http://10.0.0.2:80'] },
      ],
    }) as Config;
    const log = {
      info: () => {},
      warn: ({ problem }: { problem?: unknown }) => this.problems.push(problem),
      error: ({ problem }: { problem?: unknown }) => this.problems.push(problem),
    } as unknown as Logger;
    this.reported = new ReportedRegions({
      clock: systemClock,
      log,
      metrics: new MetricsRegistry(),
      proxy: 'p1',
      addresses: () => [OWN],
      localHosts: () => new Set(['192.0.2.7']),
      fetch,
      onChange: () => {
        this.changes += 1;
      },
      onSuspect: (dataUrl) => this.suspects.push(dataUrl),
    });
    t.teardown(() => this.reported.close());
  }

  says(epoch: number, parts: Record<string, unknown> = {}): void {
    const servers = ['s1', 's2'].map((id) => ({
      id,
      url: `http://${id}:80`,
      zone: '',
      health: 'healthy',
      weight: 1,
      draining: false,
    }));
    this.answer = {
      region: 'a',
      incarnation: '01B',
      epoch,
      dataUrl: DATA_URL,
      servers,
      policies: LOCK,
      ...parts,
    };
  }

  serversOf(region: string): string[] {
    const { regions } = this.reported.complete(this.config);
    return regions.find(({ id }) => id === region)!.servers!.map(({ url }) => url as string);
  }

  async polled(count: number): Promise<void> {
    const goal = this.polls + count;
    await until(() => this.polls >= goal, 10_000, `${count} more polls`);
  }
}

async function start(t: Test): Promise<Rig> {
  let rig: Rig | undefined;
  const server = createServer((request, response) => {
    const { answer, acks } = rig!;
    rig!.polls += 1;
    acks.push(new URL(request.url!, 'http://x').searchParams.get('ack'));
    if (answer === undefined) return void request.socket.destroy();
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  rig = new Rig(t, server);
  rig.says(5);
  rig.reported.watch(rig.config);
  await until(() => rig.changes > 0, 10_000, 'the first report is taken');
  return rig;
}

t.test('a silent manager loses its word but neither its data path nor its lock', async (t) => {
  const rig = await start(t);
  t.strictSame(rig.reported.counts('a'), { registered: 2, healthy: 2 });
  t.strictSame(rig.serversOf('a'), [DATA_URL]);
  rig.answer = undefined;
  await until(() => rig.suspects.length > 0, 10_000, 'silence is noticed');
  t.strictSame(rig.suspects, [DATA_URL], 'its data path is looked at');
  t.equal(rig.reported.counts('a'), undefined, 'what it said of its servers counts no more');
  t.strictSame(rig.serversOf('a'), [DATA_URL]);
  t.match(rig.reported.policies().a, LOCK, 'a lock does not open because somebody died');
  rig.says(6);
  await until(() => rig.reported.counts('a') !== undefined, 10_000, 'it is believed again');
});

t.test('reports that cannot be taken leave the one before in force, unacknowledged', async (t) => {
  const rig = await start(t);
  const wrong: Record<string, Record<string, unknown>> = {
    'policies.residency.0.regions': { policies: { residency: [{ path: '/x', regions: [] }] } },
    'policies.unknown': { policies: { unknown: 1 } },
    'policies: Invalid regular expression': { policies: { requireHeader: { 'x-tenant': '(' } } },
    [`dataUrl: must be the manager's, http://${OWN} is this proxy's own`]: { dataUrl: `http://${OWN}` },
  };
  let epoch = 10;
  for (const [problem, parts] of Object.entries(wrong)) {
    rig.says(++epoch, { ...parts, servers: [] });
    await until(() => rig.problems.length > 0, 10_000, problem);
    await rig.polled(2);
    t.ok(String(rig.problems[0]).startsWith(problem.split('.unknown')[0]!), String(rig.problems[0]));
    t.equal(rig.problems.length, 1, 'said once');
    t.equal(rig.acks.at(-1), '5');
    t.equal(rig.reported.report('a')?.servers.length, 2);
    t.match(rig.reported.policies().a, LOCK);
    rig.problems.length = 0;
  }
});

t.test('a report over its bound, or that goes back, is silence', async (t) => {
  for (const lie of ['x'.repeat(MAX_REPORT_BYTES + 1), { epoch: 3 }]) {
    const rig = await start(t);
    if (typeof lie === 'string') rig.answer = lie;
    else rig.says(lie.epoch, { servers: [] });
    await until(() => rig.suspects.length > 0, 10_000, 'silence');
    t.equal(rig.reported.report('a')?.epoch, 5);
    t.match(rig.reported.policies().a, LOCK);
  }
});

t.test('a change of the data address is followed; one that another region has is not', async (t) => {
  const rig = await start(t);
  rig.says(6, { dataUrl: 'http://10.0.0.9:9500' });
  await until(() => rig.serversOf('a')[0] === 'http://10.0.0.9:9500', 10_000, 'the new address');
  rig.says(7, { dataUrl: 'http://10.0.0.2:80' });
  await until(() => rig.serversOf('a').length === 0, 10_000, 'region b has it already');
  t.equal(rig.serversOf('b').length, 1);
});

t.test('a region without servers, or on its way out, takes nothing', async (t) => {
  const rig = await start(t);
  t.equal(rig.reported.standing('a'), undefined);
  rig.says(6, { servers: [] });
  await until(() => rig.reported.standing('a') === 'unhealthy', 10_000, 'no server');
  rig.says(7, { draining: true });
  await until(() => rig.reported.standing('a') === 'draining', 10_000, 'drains');
  t.equal(rig.reported.standing('b'), undefined);
});

t.test('what was measured since is known, and changes nothing else', async (t) => {
  const rig = await start(t);
  const { changes } = rig;
  rig.says(5, { telemetry: { cpu: 0.75 }, servers: [] });
  await until(
    () => rig.reported.measured('a')?.telemetry.cpu === 0.75,
    10_000,
    'the same epoch, measured anew',
  );
  t.equal(rig.changes, changes);
  t.equal(rig.reported.report('a')?.servers.length, 2, 'members do not change without an epoch');
  t.match(rig.reported.site('a'), {
    registered: 2,
    healthy: 2,
    capacity: 0,
    measured: { telemetry: { cpu: 0.75 } },
  });
  t.equal(rig.reported.site('b'), undefined);
});
