import t from 'tap';
import { World } from '../rig/world.ts';

const six = { id: 'a', servers: 6, zones: ['x', 'x', 'x', 'y', 'y', 'y'] };

function nearby(zone: string, healthy: readonly number[]): readonly string[] | null {
  const world = new World({ regions: [six], parts: { zone } });
  const states = six.zones.map((_, i) =>
    healthy.includes(i) ? ('healthy' as const) : ('unhealthy' as const),
  );
  world.setHealth('a', ...states);
  return world.live().nearby?.[0]?.map((server) => server.zone) ?? null;
}

t.test('servers of the own zone come first, while enough of them are healthy', async (t) => {
  t.equal(nearby('', [0, 1, 2, 3, 4, 5]), null, 'without a zone nobody is near');
  t.strictSame(nearby('x', [0, 1, 2, 3, 4, 5]), ['x', 'x', 'x']);
  t.strictSame(nearby('x', [0, 3, 4, 5]), ['x', 'y', 'y', 'y'], 'one of three cannot carry the zone');
  t.strictSame(nearby('z', [0, 3]), ['x', 'y'], 'nobody stands in this zone');
});
