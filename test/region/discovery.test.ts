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
    named.get('dns:shop.internal')?.map(({ url }) => url),
    ['http://10.0.0.1:8080'],
  );
  t.strictSame(
    named.get('dns:six')?.map(({ url }) => url),
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
    named.get('dns:_x._tcp')?.map(({ url, weight }) => `${url} ${weight}`),
    ['http://a:1 5', 'http://b:2 1'],
  );
});

t.test('a source that cannot be asked names nobody, and empties nothing', async (t) => {
  const { discovery, named, warnings } = discovering(t, {});
  await discovery.start([dns({}), { kind: 'file', path: '/none', every: 1000 }]);
  t.equal(named.size, 0, 'onServers was not called: what was known stays');
  t.match(warnings, [{ problem: 'ENOTFOUND' }, { problem: 'ENOTFOUND' }]);
});
