// What a manager makes of a request that comes with a route. What a proxy believes a manager, and what it does
// not: that nothing was sent on (its word decides), that its servers are well (what the proxy sees through the
// data path decides).

import t from 'tap';
import { arrive } from '../../src/proxy/manager-hop.ts';
import type { ScreenedRequest } from '../../src/proxy/request-head.ts';
import type { ManagerHop } from '../../src/routing/snapshot.ts';
import { metricOf } from '../rig/control.ts';
import { startFakeManager } from '../rig/fake-manager.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { regionSeen, startRem } from '../rig/rem.ts';
import { until } from '../rig/traffic.ts';
import { type Answerer, ask, OK, openWire, startWireServer, UNWATCHED } from '../rig/wire.ts';

const HOP: ManagerHop = { region: 'eu', scrubRequest: [], scrubResponse: [], maxBody: 0 };
const ID = '1ec1ced2bb4b86973dcc850000000001';

const arrival = (ownRoute: string, isTrusted = true, ownRequestId = ID) =>
  arrive(HOP, { ownRoute, ownRequestId } as ScreenedRequest, isTrusted);

t.test('a request that names any region but this one is for somebody else', async (t) => {
  for (const route of [
    '',
    'region=eu',
    'region=eu, shard=12, generation=17, attempt=1, path=(), priority=normal',
    'shard=12, region=eu',
    'shard=12,region="eu", origin=us',
    'region=eu, origin=us, path=(us us2)',
    'region=eu, region=eu',
    'subregion=us, region=eu',
    'shard=12',
  ])
    t.notOk(arrival(route).isMisdirected, route);
  for (const route of [
    'region=us',
    'region=eu2, shard=12',
    'region=e, shard=12',
    'region=eu, region=us',
    'region=us, region=eu',
    'region="us"',
    'region = us',
    'shard=1,region=',
    'region=eu-west',
    'region="eu, region=us"',
  ])
    t.ok(arrival(route).isMisdirected, route);
});

t.test('only a trusted peer names the request and its route', async (t) => {
  const route = 'region=eu, shard=1';
  t.strictSame(arrival(route), { requestId: ID, routeField: route, isMisdirected: false });
  t.strictSame(arrival('region=us', false), {
    requestId: undefined,
    routeField: undefined,
    isMisdirected: false,
  });
  t.equal(arrival(route, true, 'a b').requestId, undefined, 'an id that could break a line of a log');
  t.equal(arrival(`${route}${' '.repeat(1024)}`).routeField, undefined, 'a route that is too long');
});

const HOST = 'Host: a\r\n';
const PATIENCE_MS = 20_000;

const refusal =
  (status: number, fields: string): Answerer =>
  (_, wire) =>
    wire.write(`HTTP/1.1 ${status} No\r\n${fields}content-length: 2\r\n\r\nno`);

const UNSENT = 'foreshard-unsent: ?1\r\n';

t.test('what a manager has not sent on goes elsewhere, whatever its method and its budget', async (t) => {
  const data = await startWireServer(t);
  const other = await startWireServer(t);
  const manager = await startFakeManager(t, 'managed', data.url);
  const proxy = await startProxy(
    t,
    proxyConfig({
      health: UNWATCHED,
      regions: [
        { id: 'managed', rem: manager.api, weight: 1000 },
        { id: 'other', servers: [other.url], weight: 0.001 },
      ],
      routes: [
        {
          id: 'all',
          key: { onMissing: 'random' },
          policy: 'weighted_random',
          retry: { base: '1ms', cap: '1ms', budget: 0, minBudget: 0 },
        },
      ],
    }),
  );
  await until(async () => (await regionSeen(proxy, 'managed')).healthy === 1, PATIENCE_MS, 'it is heard');

  let paths = 0;
  const post = async (status: number, fields: string): Promise<Record<string, number>> => {
    const path = `/post-${++paths}`;
    data.on(path, refusal(status, fields));
    const { status: got } = await ask(
      t,
      proxy.port,
      `POST ${path} HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
    );
    return { managed: data.seen(path).length, other: other.seen(path).length, got };
  };
  // It is the first choice of nearly all requests: a thousand to one thousandth.
  for (const status of [502, 503, 504, 507])
    t.strictSame(await post(status, UNSENT), { managed: 1, other: 1, got: 200 }, `${status}, not sent`);
  t.strictSame(await post(503, ''), { managed: 1, other: 0, got: 503 }, 'it says nothing');
  t.strictSame(await post(503, 'foreshard-unsent: ?0\r\n'), { managed: 1, other: 0, got: 503 }, 'it says no');
  t.strictSame(await post(200, UNSENT), { managed: 1, other: 0, got: 200 }, 'an answer is an answer');

  // The same word from a server that is no manager: anybody could say it of a request that was executed.
  other.on('/from-server', refusal(503, UNSENT));
  data.on('/from-server', refusal(503, UNSENT));
  const before = data.requests.length;
  const { status } = await ask(
    t,
    proxy.port,
    `POST /from-server HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`,
  );
  t.equal(status, 503);
  t.equal(other.seen('/from-server').length, 1);
  t.equal(data.requests.length, before + 1, 'no third attempt');
});

t.test('a report of health is not believed against what is seen through the data path', async (t) => {
  let isThrough = true;
  const data = await startWireServer(t);
  data.on('/healthz', (request, wire) => (isThrough ? wire.write(OK) : refusal(503, UNSENT)(request, wire)));
  const other = await startWireServer(t);
  const manager = await startFakeManager(t, 'managed', data.url);
  const proxy = await startProxy(
    t,
    proxyConfig({
      healthCheckInterval: '200ms',
      health: { healthyThreshold: 1, unhealthyThreshold: 1 },
      regions: [
        { id: 'managed', rem: manager.api },
        { id: 'other', servers: [other.url] },
      ],
    }),
  );
  const healthy = async (): Promise<number> => (await regionSeen(proxy, 'managed')).healthy;
  const untilHealthy = (count: number, what: string): Promise<void> =>
    until(async () => (await healthy()) === count, PATIENCE_MS, what);
  await untilHealthy(1, 'it is heard');
  const one = { id: 's', url: 'http://127.0.0.1:9', zone: '', weight: 1, draining: false };
  const servers = (count: number, health: string): object[] =>
    Array.from({ length: count }, (_, i) => ({
      ...one,
      id: `s${i}`,
      url: `http://127.0.0.1:${i + 1}`,
      health,
    }));

  manager.say({ servers: servers(5, 'healthy') });
  await untilHealthy(5, 'more servers');
  isThrough = false;
  await untilHealthy(0, 'five healthy servers that nobody gets through to are none');
  isThrough = true;
  await untilHealthy(5, 'and five again');
  manager.say({ servers: servers(5, 'unhealthy') });
  await untilHealthy(1, 'no healthy server, but a way through: one at least');

  manager.say({ servers: servers(5, 'healthy') });
  await untilHealthy(5, 'it has changed its mind');
  const failures = (): Promise<number> =>
    metricOf(proxy.controlUrl, 'foreshard_rem_poll_failures_total', 'region="managed"');
  for (const [what, lie] of Object.entries({
    'an older epoch': { epoch: 1 },
    'another region': { region: 'other', epoch: 1000 },
    'a health that is none': { servers: [{ ...one, health: 'splendid' }], epoch: 1001 },
    'more servers than there may be': { servers: servers(1001, 'healthy'), epoch: 1002 },
  })) {
    const before = await failures();
    manager.say(lie);
    await until(async () => (await failures()) > before, PATIENCE_MS, `${what} is a failed poll`);
    await untilHealthy(1, `${what}: what it said before is not believed either, the way through is`);
    manager.say({ region: 'managed', servers: servers(5, 'healthy'), epoch: 2000 + manager.polls() });
    await untilHealthy(5, `${what}: heard again`);
  }
});

t.test('what a region removes from answers is in no part of them', async (t) => {
  const server = await startWireServer(t);
  const policy = { removeHeaders: { response: ['X-Secret'] } };
  const rem = await startRem(t, 'eu', { servers: [server.url], health: UNWATCHED, policy });
  const SECRET = 'x-secret: hidden\r\nx-open: shown\r\n';
  const KEY = 'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const ACCEPT = 'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n';
  const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n';
  server.on('/hints', (_, wire) =>
    wire.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n${SECRET}\r\n${OK}`),
  );
  server.on('/head', (_, wire) => wire.write(`HTTP/1.1 200 OK\r\n${SECRET}content-length: 2\r\n\r\nok`));
  server.on('/trailers', (_, wire) => wire.write(`${CHUNKED}\r\n2\r\nok\r\n0\r\n${SECRET}\r\n`));
  server.onHead('/tunnel', (_, wire) => {
    wire.write(`HTTP/1.1 101 On\r\nconnection: upgrade\r\nupgrade: websocket\r\n${ACCEPT}${SECRET}\r\nok`);
  });
  for (const [path, fields] of Object.entries({
    '/hints': '',
    '/head': '',
    '/trailers': 'te: trailers\r\nconnection: te\r\n',
    '/tunnel': `connection: upgrade\r\nupgrade: websocket\r\n${KEY}`,
  })) {
    const wire = await openWire(t, rem.process.port);
    wire.write(`GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`);
    const answer = await wire.until(/ok(\r\n0\r\n[\s\S]*\r\n\r\n)?$/);
    t.notMatch(answer, /x-secret/i, path);
    t.match(answer, path === '/hints' ? 'link: </a>' : 'x-open: shown', path);
    wire.cut();
  }
});
