// An engine beside a proxy: the proxy measures itself for it, shows what it says, and does its own work whether or
// not there is one.

import root from 'tap';
import type { Sample } from '../../src/analytics/ingest/sample.ts';
import { readDocuments } from '../../src/analytics/ingest/telemetry-document.ts';
import { post, scoresOf, until } from '../rig/engine-client.ts';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';

root.test('a proxy in shadow mode measures itself for its engine; weights stay as they are', async (t) => {
  const report = { 'endpoint-load-metrics': 'TEXT cpu_utilization=0.25, mem_utilization=0.5' };
  const servers = [
    await startServer(t, 'a', (_request, response) => response.writeHead(200, report).end('a')),
    await startServer(t, 'b'),
  ];
  const regions = servers.map(({ url }, i) => ({ id: ['eu-west', 'us-east'][i]!, servers: [url] }));
  const pae = { mode: 'shadow', evaluateEvery: '1s', horizon: '5s' };
  const proxy = await startProxy(t, proxyConfig({ regions, pae, healthCheckInterval: '200ms' }));
  const weights = async (): Promise<string> =>
    JSON.stringify(
      ((await (await fetch(`${proxy.controlUrl}/plan`)).json()) as { regions: object[] }).regions,
    );
  const before = await weights();
  let n = 0;
  let leaked = false;
  const measured = await until(
    async () => {
      for (let i = 0; i < 10; i++) {
        const answer = await fetch(`${proxy.url}/x`, { headers: { 'x-shard-key': String(n++) } });
        await answer.text();
        leaked ||= answer.headers.has('endpoint-load-metrics');
      }
      const scores = await scoresOf(proxy.controlUrl, '?history=1m');
      const busy = scores.regions.every(
        ({ actual, forecast }) => Number(actual?.rps) > 0 && forecast !== undefined,
      );
      const said = scores.regions[0]!.servers[0]?.actual?.cpu !== undefined;
      return busy && said && scores.shardGroups.length > 5 && scores.routes.length === 1 ? scores : undefined;
    },
    'measurements of every kind',
    60_000,
  );
  t.equal(measured.regions[0]!.servers[0]!.id, servers[0]!.url);
  t.match(
    measured.regions[0]!.servers[0]!.actual,
    { cpu: 0.25, memory: 0.5 },
    'what the server said of itself',
  );
  t.equal(leaked, false, 'to the proxy, not to clients');
  t.ok(measured.regions.every(({ history }) => history!.length > 0));
  t.match(await (await fetch(`${proxy.controlUrl}/metrics`)).text(), /foreshard_risk\{region="eu-west"\} \d/);
  servers[0]!.health = 500;
  await until(
    async () => ((await scoresOf(proxy.controlUrl)).regions[0]!.failing ? true : undefined),
    'the failure',
  );
  const failed = (await scoresOf(proxy.controlUrl)).regions[0]!;
  t.equal(failed.reasons[0], 'it is failing now');
  t.equal(await weights(), before, 'shadow: what was computed moved nothing');
  t.match(await post(`${proxy.controlUrl}/telemetry`, { region: 'eu-west' }), {
    status: 400,
    body: { title: /^at: / },
  });
});

root.test('a proxy posts its measurements to an engine elsewhere, and serves without it', async (t) => {
  const server = await startServer(t, 'a');
  const samples: Sample[] = [];
  const engine = await startServer(t, 'engine', ({ url, body, headers }, response) => {
    const read = readDocuments(JSON.parse(body.toString()));
    if (read.ok) samples.push(...read.samples);
    const isRight = read.ok && url === '/telemetry' && headers.authorization === 'Bearer a-long-enough-token';
    response.writeHead(isRight ? 202 : 400).end();
  });
  const regions = [{ id: 'us-east', servers: [server.url] }];
  const pae = { mode: 'shadow', evaluateEvery: '400ms', source: engine.url, token: 'a-long-enough-token' };
  const proxy = await startProxy(t, proxyConfig({ regions, pae }));
  const metrics = async (): Promise<string> => (await fetch(`${proxy.controlUrl}/metrics`)).text();
  await until(async () => {
    await (await fetch(`${proxy.url}/x`)).text();
    const kinds = new Set(samples.filter(({ value }) => value > 0).map(({ entity }) => entity.kind));
    return kinds.size === 4 || undefined;
  }, 'load of regions, servers, routes and shard groups');
  t.match(await metrics(), /foreshard_telemetry_posts_total\{result="ok"\}/);
  t.equal((await fetch(`${proxy.controlUrl}/risk_scores`)).status, 503, 'the engine is elsewhere');
  await engine.close();
  await proxy.waitForLog((line) => line.msg === 'measurements could not be posted to pae.source');
  t.equal((await fetch(`${proxy.url}/x`)).status, 200);
  t.match(await metrics(), /foreshard_telemetry_posts_total\{result="failed"\}/);
});
