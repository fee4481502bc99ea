import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { run } from '../../src/cli/simulate.ts';
import type { Simulation } from '../../src/compose/simulation.ts';
import { ROUND_MS, Rounds } from '../rig/rounds.ts';

const site = (capacity: number, more = ''): string => `listen: [ { address: "127.0.0.1:8080" } ]
sharding: { shards: 256 }
pae: { mode: auto }
regions:
  - { id: a, capacity: ${capacity}, servers: [ "http://127.0.0.1:9000" ] }
  - { id: b, capacity: ${capacity}, servers: [ "http://127.0.0.1:9001" ] }
  - { id: c, capacity: ${capacity}, servers: [ "http://127.0.0.1:9002" ] }
${more}`;

async function call(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
  const said = { out: '', err: '' };
  const code = await run(args, {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    env,
    cwd,
  });
  return { code, ...said };
}

async function simulated(args: readonly string[], cwd: string): Promise<Simulation> {
  const { code, out, err } = await call([...args, '--json'], cwd);
  if (code !== 0) throw new Error(err);
  return JSON.parse(out) as Simulation;
}

/** @returns its URL. */
async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('a region that fails: what moves, and what the others carry', async (t) => {
  const cwd = t.testdir({ 'proxy.yaml': site(500) });
  const result = await simulated(['--fail', 'a', '--demand', '600'], cwd);
  t.strictSame(result.tables, [
    {
      id: 'all',
      critical: false,
      hasOwnThresholds: false,
      shards: 256,
      moved: 86,
      stranded: 0,
      moves: [
        { from: 'a', to: 'b', shards: 43 },
        { from: 'a', to: 'c', shards: 43 },
      ],
    },
  ]);
  t.strictSame(result.moved, { shards: 86, keyspace: 86 / 256, load: (600 * 86) / 256 });
  const [a, b] = result.regions;
  t.strictSame([a!.weight, a!.load![1], a!.utilisation![1]], [[1, 0], 0, 0]);
  t.strictSame(b!.load, [(600 * 85) / 256, 300]);
  t.equal(b!.utilisation![1], 0.6);
  t.strictSame(result.problems, []);
  const { code, out } = await call(['--fail', 'a', '--demand', '600'], cwd);
  t.equal(code, 0);
  t.match(out, 'a       1 -> 0  33.6 % -> 0 %   202 -> 0    500       40.3 % -> 0 %');
  t.match(out, '86 shards move (33.6 % of the keys, 202 requests/s)');
  t.match(out, '  a -> b  43');
});

t.test('survivors above their target or their capacity are named, with what is too much', async (t) => {
  const cwd = t.testdir({ 'proxy.yaml': site(500) });
  const target = await simulated(['--fail', 'a', '--demand', '900'], cwd);
  t.match(target.problems, [
    /^b would be above pae.targetUtilisation \(0.8\): 450 requests\/s of 500$/,
    /^c /,
  ]);
  const capacity = await simulated(['--fail', 'a', 'c', '--demand', '900'], cwd);
  t.match(capacity.problems, [/^b would be above its capacity: 900 requests\/s of 500, 400 too many$/]);
});

t.test('shards that nobody can serve are counted, in the table in which they lie', async (t) => {
  const routes =
    'routes:\n  - { id: local, match: { path: /local/** }, residency: [ a ] }\n  - { id: rest }\n';
  const cwd = t.testdir({ 'proxy.yaml': site(500, routes) });
  const { problems } = await simulated(['--fail', 'a'], cwd);
  t.match(problems, [/^table a: 256 of 256 shards have no region that can serve them$/]);
  const all = await simulated(
    ['--fail', 'a', '--fail', 'b', '--fail', 'c'],
    t.testdir({ 'proxy.yaml': site(1) }),
  );
  t.match(all.problems, [/^table all: 256 of 256 shards/]);
});

t.test('other weights', async (t) => {
  const cwd = t.testdir({ 'proxy.yaml': site(500) });
  const { regions, moved, weights } = await simulated(['--weights', 'a=0.5,b=0'], cwd);
  t.strictSame(weights, { a: 0.5, b: 0 });
  t.strictSame(
    regions.map((region) => Math.round(region.share[1] * 256)),
    [85, 0, 171],
  );
  t.equal(moved.load, null, 'without a demand no load is made up');
  t.equal(regions[0]!.utilisation, null);
  t.match((await call(['--weights', 'b=0'], cwd)).out, 'Loads are not known: give --demand');
});

t.test('says when no plan would be made', async (t) => {
  const cwd = t.testdir({ 'proxy.yaml': site(500).replace('mode: auto', 'mode: shadow') });
  const { problems } = await simulated(['--fail', 'a'], cwd);
  t.match(problems, [/^pae.mode is shadow: no plan follows a failure/]);
});

t.test('with --control: the plan in force and the load that its engine expects', async (t) => {
  const engine = new Rounds(['a', 'b', 'c']);
  engine.plan();
  engine.say('a', { healthFactor: 0 }).pass(ROUND_MS);
  engine.say('a', { healthFactor: 1 }).pass(65_000);
  t.ok(engine.progress() !== undefined, 'while a shift is under way');
  const fields: unknown[] = [];
  const control = await serve(t, (request, response) => {
    fields.push(request.url, request.headers.authorization);
    response.setHeader('content-type', 'application/json').end(JSON.stringify(engine.last.plan));
  });
  const cwd = t.testdir({ 'proxy.yaml': site(500) });
  const result = await simulated(['--fail', 'b', '--control', control, '--token', 'secret'], cwd);
  t.strictSame(fields, ['/plan', 'Bearer secret']);
  t.equal(result.demand, 300);
  t.strictSame(
    result.tables[0]!.moves.map(({ from }) => from),
    ['b', 'b'],
    'seen from the end of the shift',
  );
  const smaller = t.testdir({ 'proxy.yaml': site(500).replace('256', '512') });
  const refused = await call(['--fail', 'b', '--control', control], smaller);
  t.equal(refused.code, 1);
  t.match(refused.err, 'the plan in force is not one for this configuration: tables.all.shards: must be');
});

t.test('what cannot be simulated is said in a sentence, with the exit code of its kind', async (t) => {
  const cwd = t.testdir({ 'proxy.yaml': site(500), 'bad.yaml': 'listen: 7\n' });
  const wrong: readonly (readonly [string[], RegExp])[] = [
    [[], /needs --fail or --weights/],
    [['--fail', 'mars'], /a region must be one of a, b, c, given mars/],
    [['--weights', 'mars=1'], /a region must be one of a, b, c, given mars/],
    [['--weights', 'a:1'], /--weights must be region=0..1000, separated by commas, given 'a:1'/],
    [['--weights', 'a=1001'], /given 'a=1001'/],
    [['--fail', 'a', '--demand', '-3'], /--demand/],
    [['--fail', 'a', '--demand=0'], /--demand must be a number of requests\/s above 0, given '0'/],
    [['--fail', 'a', '--control', 'here'], /--control must be http:\/\/host:port, given 'here'/],
    [['a'], /takes no argument without an option, given a/],
    [['--fial', 'a'], /--fial/],
  ];
  for (const [args, message] of wrong) {
    const { code, out, err } = await call(args, cwd);
    t.equal(code, 2, args.join(' '));
    t.equal(out, '');
    t.match(err, message);
  }
  t.match(await call(['--config', 'bad.yaml', '--fail', 'a'], cwd), { code: 1, err: /bad.yaml:1:9/ });
  t.match(await call(['--config', 'none.yaml', '--fail', 'a'], cwd), { code: 1, err: /none.yaml/ });
  const nobody = await call(['--fail', 'a', '--control', 'http://127.0.0.1:1'], cwd);
  t.match(nobody, { code: 1, err: /cannot simulate: cannot reach http:\/\/127.0.0.1:1: / });
  const odd = await serve(t, (_, response) => void response.end('{}'));
  t.match(await call(['--fail', 'a', '--control', odd], cwd), { code: 1, err: /answered no plan: / });
  t.match(await call(['--help'], cwd), { code: 0, out: /^usage: foreshard simulate/ });
});
