import t, { type Test } from 'tap';
import { Discovery, type DiscoverySource, type DiscoveryTools } from '../../src/region/discovery.ts';
import type { MemberDescription } from '../../src/region/members.ts';

const NOBODY = async (): Promise<never> => {
  throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
};

function discovering(
  t: Test,
  resolver: Partial<DiscoveryTools['resolver']>,
  parts: Partial<DiscoveryTools> = {},
) {
  const named = new Map<string, readonly MemberDescription[]>();
  const warnings: unknown[] = [];
  const discovery = new Discovery({
    resolver: {
      resolve4: NOBODY,
      resolve6: NOBODY,
      resolveSrv: NOBODY,
      ...resolver,
    } as DiscoveryTools['resolver'],
    readFile: NOBODY,
    log: {
      debug: () => {},
      info: () => {},
      warn: (fields) => void warnings.push(fields),
      error: () => {},
      setLevel: () => {},
      flush: async () => {},
    },
    onServers: (source, servers) => void named.set(source, servers),
    ...parts,
  });
  t.teardown(() => discovery.close());
  return { discovery, named, warnings };
}

const dns = (parts: Partial<Extract<DiscoverySource, { kind: 'dns' }>>): DiscoverySource => ({
  kind: 'dns',
  name: 'shop.internal',
  type: 'a',
  port: 8080,
  scheme: 'http',
  every: 60_000,
  ...parts,
});

t.test('addresses become servers on the port of the source', async (t) => {
  const { discovery, named } = discovering(t, {
    resolve4: (async () => [{ address: '10.0.0.1', ttl: 30 }]) as never,
    resolve6: (async () => [{ address: 'fd00::1', ttl: 30 }]) as never,
  });
  await discovery.start([dns({}), dns({ name: 'six', type: 'aaaa' })]);
  t.strictSame(
    named.get('dns:shop.internal a http 8080')?.map(({ url }) => url),
    ['http://10.0.0.1:8080'],
  );
  t.strictSame(
    named.get('dns:six aaaa http 8080')?.map(({ url }) => url),
    ['http://[fd00::1]:8080'],
  );
});

t.test('service records of the best priority become servers with their weights', async (t) => {
  const { discovery, named } = discovering(t, {
    resolveSrv: async () => [
      { name: 'a', port: 1, priority: 10, weight: 5 },
      { name: 'b', port: 2, priority: 10, weight: 0 },
      { name: 'spare', port: 3, priority: 20, weight: 9 },
    ],
  });
  await discovery.start([dns({ name: '_x._tcp', type: 'srv', port: undefined })]);
  t.strictSame(
    named.get('dns:_x._tcp srv http')?.map(({ url, weight }) => `${url} ${weight}`),
    ['http://a:1 5', 'http://b:2 1'],
  );
});

t.test('one name asked in two ways is two sources', async (t) => {
  const { discovery, named } = discovering(t, {
    resolve4: (async () => [{ address: '10.0.0.1', ttl: 30 }]) as never,
    resolve6: (async () => [{ address: 'fd00::1', ttl: 30 }]) as never,
  });
  await discovery.start([dns({}), dns({ type: 'aaaa' }), dns({ port: 8081 }), dns({ scheme: 'https' })]);
  t.strictSame(
    [...named.values()].map(([server]) => server!.url),
    ['http://10.0.0.1:8080', 'http://[fd00::1]:8080', 'http://10.0.0.1:8081', 'https://10.0.0.1:8080'],
  );
});

t.test('records that name no address are left out; addresses are written in one way', async (t) => {
  const { discovery, named } = discovering(t, {
    resolve4: (async () => [{ address: '10.0.0.1', ttl: 30 }]) as never,
    resolveSrv: async () => [
      { name: '', port: 0, priority: 10, weight: 0 },
      { name: 'A.internal', port: 80, priority: 10, weight: 3 },
      { name: 'b c', port: 81, priority: 10, weight: 3 },
    ],
  });
  const service = dns({ name: '_x._tcp', type: 'srv', port: undefined });
  await discovery.start([service, dns({ port: 80 })]);
  t.strictSame(
    [...named.values()]
      .flat()
      .map(({ id, url }) => [id, url])
      .sort(),
    [
      ['http://10.0.0.1', 'http://10.0.0.1'],
      ['http://a.internal', 'http://a.internal'],
    ],
  );
});

t.test('a source that cannot be asked names nobody, and empties nothing', async (t) => {
  const { discovery, named, warnings } = discovering(t, {});
  await discovery.start([dns({}), { kind: 'file', path: '/none', every: 1000 }]);
  t.equal(named.size, 0, 'onServers was not called: what was known stays');
  t.match(warnings, [{ problem: 'ENOTFOUND' }, { problem: 'ENOTFOUND' }]);
});
