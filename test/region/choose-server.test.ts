import fc from 'fast-check';
import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import {
  type Candidate,
  chooseServer,
  type ServerChoice,
  type ServerLoads,
} from '../../src/region/choose-server.ts';

const servers = (...weights: number[]): Candidate[] => weights.map((weight, slot) => ({ slot, weight }));

interface Facts {
  readonly inFlight?: readonly number[];
  readonly latencyUs?: readonly number[];
  readonly expectedUs?: readonly number[];
  readonly failures?: readonly number[];
  readonly ramp?: readonly number[];
}

const loadsOf = ({
  inFlight = [],
  latencyUs = [],
  expectedUs = [],
  failures = [],
  ramp = [],
}: Facts): ServerLoads => ({
  inFlight: (slot) => inFlight[slot] ?? 0,
  latencyUs: (slot) => latencyUs[slot] ?? 0,
  expectedUs: (slot) => expectedUs[slot] ?? 0,
  failuresInARow: (slot) => failures[slot] ?? 0,
  ramp: (slot) => ramp[slot] ?? 1,
});

const choice = (facts: Facts, some: Partial<ServerChoice> = {}): ServerChoice => ({
  loads: loadsOf(facts),
  random: seededRandom(1),
  inFlightLimit: 10,
  tried: [],
  lateUs: 1000,
  ...some,
});

/** Share of 20,000 requests that each server gets while they pile up and are served evenly. */
function shares(candidates: readonly Candidate[], facts: Facts = {}): number[] {
  const random = seededRandom(3);
  const inFlight = candidates.map(() => 0);
  const got = candidates.map(() => 0);
  const rate = candidates.map(
    ({ weight, slot }) => (weight * (facts.ramp?.[slot] ?? 1)) / (facts.latencyUs?.[slot] ?? 1000),
  );
  for (let i = 0; i < 20_000; i++) {
    const chosen = chooseServer(candidates, {
      ...choice({ ...facts, inFlight }),
      random,
      inFlightLimit: 1e9,
    });
    if (typeof chosen === 'string') throw new Error(chosen);
    got[chosen.slot]! += 1;
    inFlight[chosen.slot]! += 1;
    // Served in proportion to what each can do: some twenty stay in flight.
    const total = inFlight.reduce((a, b) => a + b, 0);
    if (total > 20) {
      const busy = inFlight.map((n, slot) => (n > 0 ? rate[slot]! : 0));
      const drawn = random.next() * busy.reduce((a, b) => a + b, 0);
      const upTo = busy.map((_, slot) => busy.slice(0, slot + 1).reduce((a, b) => a + b, 0));
      const done = upTo.findIndex((sum) => drawn < sum);
      inFlight[done === -1 ? chosen.slot : done]! -= 1;
    }
  }
  return got.map((n) => n / 20_000);
}

t.test('no server, all tried and all full are told apart', async (t) => {
  t.equal(chooseServer([], choice({})), 'none');
  t.equal(chooseServer(servers(1, 1), choice({}, { tried: [0, 1] })), 'none');
  t.equal(chooseServer(servers(1, 1), choice({ inFlight: [10, 10] })), 'full');
  t.equal(chooseServer(servers(1, 1), choice({ inFlight: [0, 10] }, { tried: [0] })), 'full');
});

t.test('whoever fits is found among many that do not', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(39), fc.integer(), (count, at, seed) => {
      const only = at % count;
      const inFlight = Array.from({ length: count }, (_, slot) => (slot === only || slot % 2 === 0 ? 9 : 10));
      const tried = inFlight.flatMap((_, slot) => (slot !== only && slot % 2 === 0 ? [slot] : []));
      const chosen = chooseServer(
        servers(...inFlight.map(() => 1)),
        choice({ inFlight }, { tried, random: seededRandom(seed) }),
      );
      return typeof chosen !== 'string' && chosen.slot === only;
    }),
  );
});

t.test(
  'of two, the one with less to do is taken: fewer in flight, faster, heavier, fewer failures',
  async (t) => {
    const better = (facts: Facts, ...weights: number[]): void => {
      for (let seed = 0; seed < 20; seed++) {
        const chosen = chooseServer(
          servers(...(weights.length > 0 ? weights : [1, 1])),
          choice(facts, { random: seededRandom(seed) }),
        );
        t.equal(typeof chosen === 'string' ? chosen : chosen.slot, 1);
      }
    };
    better({ inFlight: [4, 3] });
    better({ latencyUs: [9000, 3000] });
    better({ failures: [1, 0] });
    better({}, 1, 2);
    better({ ramp: [0.1, 1] });
    better({ latencyUs: [9000, 1000], failures: [0, 2] });
  },
);

t.test(
  'a latency below a millisecond is noise, one that is not known is taken to be like the other',
  async (t) => {
    const slots = new Set<string | number>();
    for (let seed = 0; seed < 40; seed++) {
      for (const latencyUs of [
        [100, 900],
        [0, 50_000],
        [50_000, 0],
      ]) {
        const chosen = chooseServer(servers(1, 1), choice({ latencyUs }, { random: seededRandom(seed) }));
        if (latencyUs[0] !== 0) slots.add(typeof chosen === 'string' ? chosen : chosen.slot);
      }
    }
    t.strictSame([...slots].sort(), [0, 1]);
  },
);

t.test('equal servers get equal shares, a server of double weight about twice as much', async (t) => {
  for (const share of shares(servers(1, 1, 1, 1))) t.ok(Math.abs(share - 0.25) < 0.02, `${share}`);
  const [light = 0, heavy = 0] = shares(servers(1, 2));
  t.ok(heavy / light > 1.6 && heavy / light < 2.4, `${heavy / light}`);
});

t.test('a server in slow start gets little, never nothing', async (t) => {
  const [cold = 0] = shares(servers(1, 1, 1, 1), { ramp: [0.1, 1, 1, 1] });
  t.ok(cold > 0.005 && cold < 0.12, `${cold}`);
  t.match(chooseServer(servers(1), choice({ ramp: [0] })), { slot: 0 });
});

t.test('a server that is too late for the client gets nothing while another one has time', async (t) => {
  // The slow one costs less: it has hardly anything to do.
  const facts = { inFlight: [1, 8], latencyUs: [2000, 1000], expectedUs: [1001, 1000] };
  for (let seed = 0; seed < 20; seed++) {
    const one = choice(facts, { random: seededRandom(seed) });
    t.match(chooseServer(servers(1, 1), one), { slot: 1 });
    t.match(chooseServer(servers(1, 1), { ...one, lateUs: 1001 }), { slot: 0 }, 'both have time');
    t.match(chooseServer(servers(1, 1), { ...one, lateUs: 999 }), { slot: 0 }, 'neither has');
    t.match(chooseServer(servers(1, 1), { ...one, tried: [1] }), { slot: 0 }, 'better late than never');
  }
});
