// Leases and fences: what comes too late, twice or from the wrong one changes nothing.

import fc from 'fast-check';
import t from 'tap';
import {
  compareIncarnations,
  MAX_MEMBERS,
  type Member,
  type MemberDescription,
  Members,
  type Registration,
} from '../../src/region/members.ts';

const TTL_MS = 15_000;

function newMembers(ttlMs = () => TTL_MS): { members: Members; changes: () => number } {
  let changes = 0;
  const members = new Members({
    leaseTtl: ttlMs,
    firstEpoch: 100,
    onChange: () => {
      changes += 1;
    },
  });
  return { members, changes: () => changes };
}

function server(id: string, parts: Partial<MemberDescription> = {}): MemberDescription {
  return { id, url: `http://${id}:80`, zone: '', weight: 1, capacity: undefined, labels: {}, ...parts };
}

function registration(id: string, incarnation: string, parts: Partial<Registration> = {}): Registration {
  return { ...server(id), incarnation, epoch: undefined, ...parts };
}

const state = (members: Members): readonly Member[] => members.list();

t.test('a server registers, renews and is healthy for as long as it renews', async (t) => {
  const { members } = newMembers();
  t.match(members.register(registration('a', '1'), 0), { ok: true, epoch: 101 });
  t.match(members.renew('a', '1', 10_000), { ok: true });
  t.strictSame(members.expire(24_999), [], 'the lease runs from the renewal');
  t.strictSame(members.expire(25_000), ['a'], 'and no longer');
  t.strictSame(members.expire(26_000), [], 'it ends once');
  t.ok(members.get('a')?.isExpired, 'a missed lease makes it unhealthy, not forgotten');
  const { epoch } = members;
  t.match(members.renew('a', '1', 30_000), { ok: true });
  t.notOk(members.get('a')?.isExpired);
  t.ok(members.epoch > epoch, 'and proxies hear of it');
});

t.test('a changed time to live counts from the next renewal', async (t) => {
  let ttl = TTL_MS;
  const { members } = newMembers(() => ttl);
  members.register(registration('a', '1'), 0);
  ttl = 1000;
  t.strictSame(members.expire(14_999), [], 'what was told is kept');
  members.renew('a', '1', 14_999);
  t.strictSame(members.expire(15_998), []);
  t.strictSame(members.expire(15_999), ['a']);
});

t.test(
  'a registration whose answer was lost may be sent again, and changes nothing, nor the lease',
  async (t) => {
    const { members, changes } = newMembers();
    const first = members.register(registration('a', '1'), 0);
    t.match(first, { ok: true, leaseMs: TTL_MS });
    const [before, known] = [changes(), state(members)];
    t.strictSame(members.register(registration('a', '1'), 4000), { ...first, leaseMs: TTL_MS - 4000 });
    t.equal(changes(), before);
    t.strictSame(state(members), known);
    t.strictSame(members.expire(TTL_MS), ['a'], 'whoever repeats it cannot keep a dead server alive');
  },
);

t.test('a server that changes within one start says which answer it has seen', async (t) => {
  const { members } = newMembers();
  const heavier = registration('a', '1', { weight: 2 });
  t.match(members.register(registration('a', '1'), 0), { epoch: 101 });
  t.match(members.register(heavier, 10), { ok: false, reason: 'stale_epoch' });
  t.equal(members.get('a')?.weight, 1);
  t.match(members.register({ ...heavier, epoch: 101 }, 20), { ok: true, epoch: 102, leaseMs: TTL_MS });
  t.equal(members.get('a')?.weight, 2);
  t.match(
    members.register({ ...heavier, epoch: 101 }, 30),
    { ok: true, epoch: 102 },
    'its own retry is no older one',
  );
  t.match(members.register(registration('a', '1'), 40), { ok: false, reason: 'stale_epoch' });
  t.match(members.register(registration('a', '1', { epoch: 101 }), 40), { ok: false, reason: 'stale_epoch' });
  t.equal(members.get('a')?.weight, 2, 'what it said before does not come back');
});

t.test('a registration from before the end of its lease does not bring the server back', async (t) => {
  const { members } = newMembers();
  members.register(registration('a', '5'), 0);
  t.match(
    members.register(registration('a', '5'), TTL_MS),
    { ok: false, reason: 'replayed' },
    'nobody has looked yet',
  );
  members.expire(TTL_MS);
  const known = state(members);
  t.match(members.register(registration('a', '5'), TTL_MS + 1), { ok: false, reason: 'replayed' });
  t.match(members.register(registration('a', '4'), TTL_MS + 1), { ok: false, reason: 'stale_incarnation' });
  t.strictSame(state(members), known);
  t.match(members.renew('a', '5', TTL_MS + 2), { ok: true }, 'a renewal does');
  members.expire(3 * TTL_MS);
  t.match(members.register(registration('a', '6'), 3 * TTL_MS), { ok: true }, 'and a new start does');
  t.match(members.register(registration('a', '5'), 3 * TTL_MS), { ok: false, reason: 'stale_incarnation' });
});

t.test('a lease that is over holds neither its address nor a place', async (t) => {
  const { members } = newMembers();
  members.register(registration('pod-1', '1', { url: 'http://10.0.0.1:80' }), 0);
  const heir = registration('pod-2', '1', { url: 'http://10.0.0.1:80' });
  t.match(members.register(heir, TTL_MS - 1), { ok: false, reason: 'address_taken' });
  t.match(members.register(heir, TTL_MS), { ok: true });
  t.equal(members.get('pod-1'), undefined);
  t.match(
    members.register(registration('pod-1', '1', { url: 'http://10.0.0.2:80' }), TTL_MS),
    { ok: false, reason: 'replayed' },
    'what was forgotten is not forgiven',
  );
  const rest = Array.from({ length: MAX_MEMBERS - 1 }, (_, i) => server(`s${i}`));
  members.setSource('static', rest);
  t.match(members.register(registration('late', '1'), TTL_MS), { ok: false, reason: 'too_many' });
  t.match(members.register(registration('late', '1'), 2 * TTL_MS), { ok: true });
  t.equal(members.get('pod-2'), undefined, 'it has made room');
});

t.test('what is stale is refused with its reason and changes nothing', async (t) => {
  const { members } = newMembers();
  members.register(registration('a', '5'), 0);
  members.register(registration('b', '1'), 0);
  members.setSource('static', [server('s')]);
  const before = state(members);
  const { epoch } = members;
  const refusals = [
    [members.register(registration('a', '4'), 1), 'stale_incarnation'],
    [members.register(registration('a', '5', { epoch: 100 }), 1), 'stale_epoch'],
    [members.register(registration('c', '1', { url: 'http://a:80' }), 1), 'address_taken'],
    [members.register(registration('s', '9'), 1), 'id_taken'],
    [members.renew('a', '4', 1), 'stale_incarnation'],
    [members.renew('x', '1', 1), 'not_registered'],
    [members.renew('s', '1', 1), 'not_registered'],
    [members.deregister('a', '4'), 'stale_incarnation'],
    [members.deregister('s', undefined), 'not_registered'],
  ] as const;
  for (const [verdict, reason] of refusals) t.match(verdict, { ok: false, reason });
  t.strictSame(state(members), before);
  t.equal(members.epoch, epoch);
});

t.test('a registration from before the deregistration does not bring the server back', async (t) => {
  const { members } = newMembers();
  members.register(registration('a', '5'), 0);
  members.deregister('a', '5');
  t.match(members.register(registration('a', '5'), 1), { ok: false, reason: 'replayed' });
  t.match(members.register(registration('a', '4'), 1), { ok: false, reason: 'replayed' });
  t.match(members.register(registration('a', '6'), 1), { ok: true }, 'a new start does');
  members.deregister('a', undefined);
  t.match(members.register(registration('a', '6'), 2), { ok: false, reason: 'replayed' });
});

t.test('a new start of a server ends the drain of the one before', async (t) => {
  const { members } = newMembers();
  members.register(registration('a', '1'), 0);
  members.setDrain('a', { since: 0, deadline: 10, epoch: 1, isDone: false });
  members.register(registration('a', '1'), 1);
  t.ok(members.get('a')?.drain, 'the same start goes on draining');
  members.register(registration('a', '2'), 2);
  t.equal(members.get('a')?.drain, undefined);
});

t.test('a source replaces what it named before, and nobody else', async (t) => {
  const { members, changes } = newMembers();
  members.register(registration('l', '1'), 0);
  members.setSource('dns:x', [server('a'), server('b')]);
  members.setSource('file:y', [server('b'), server('c')]);
  t.strictSame(
    members.list().map(({ id, source }) => `${id} ${source}`),
    ['l lease', 'a dns:x', 'b dns:x', 'c file:y'],
  );
  const before = changes();
  members.setSource('dns:x', [server('a'), server('b')]);
  t.equal(changes(), before, 'the same again is no change');
  members.setSource('dns:x', []);
  t.strictSame(
    members.list().map(({ id }) => id),
    ['l', 'c'],
  );
});

t.test('a source takes over the server that had registered with an address it names', async (t) => {
  const { members } = newMembers();
  members.register(registration('pod', '1', { url: 'http://s:80' }), 0);
  const drain = { since: 0, deadline: 1, epoch: 1, isDone: true };
  members.setDrain('pod', drain);
  members.setSource('file:y', [server('s')]);
  t.match(
    members.list(),
    [{ id: 's', source: 'file:y', drain }],
    'one address, one server; it drains as before',
  );
  t.match(members.renew('pod', '1', 1), { ok: false, reason: 'not_registered' });
  t.match(members.register(registration('pod', '2', { url: 'http://s:80' }), 2), { reason: 'address_taken' });
});

t.test('there is a limit to members, whatever they come from', async (t) => {
  const { members } = newMembers();
  const many = Array.from({ length: MAX_MEMBERS + 5 }, (_, i) => server(`s${i}`));
  members.setSource('static', many);
  t.equal(members.list().length, MAX_MEMBERS);
  t.match(members.register(registration('late', '1'), 0), { ok: false, reason: 'too_many' });
});

t.test('incarnations are compared by value where they are numbers, else by text', async (t) => {
  t.equal(compareIncarnations('9', '10'), -1);
  t.equal(compareIncarnations('01J0', '01J1'), -1);
  t.equal(compareIncarnations('7', '7'), 0);
  t.equal(compareIncarnations('999999999999999999', '999999999999999998'), 1, 'beyond what a double holds');
  t.equal(compareIncarnations('7', '1795768539002000000'), -1, 'nanoseconds since 1970');
  t.equal(compareIncarnations('9'.repeat(64), '1'.repeat(64)), 1);
});

t.test('after any history the newest start of a server is the one that is known', async () => {
  const step = fc.record({
    what: fc.constantFrom('register', 'renew', 'deregister'),
    incarnation: fc.integer({ min: 1, max: 5 }).map(String),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { members } = newMembers();
      let newest = 0;
      for (const [now, { what, incarnation }] of steps.entries()) {
        const epoch = members.epoch;
        if (what === 'register') members.register(registration('a', incarnation), now);
        else if (what === 'renew') members.renew('a', incarnation, now);
        else members.deregister('a', incarnation);
        const known = Number(members.get('a')?.incarnation ?? 0);
        if (known !== 0 && known < newest) throw new Error(`start ${known} after ${newest}`);
        if (members.epoch < epoch) throw new Error('an epoch went back');
        newest = Math.max(newest, known);
      }
    }),
    { numRuns: 300 },
  );
});
