import t from 'tap';
import { decodeOwners } from '../../src/plan/plan.ts';
import { planRound } from '../../src/plan/planner.ts';
import { assessed, inPeace, ownersOf, ROUND_MS, Rounds, THIRDS } from '../rig/rounds.ts';

/** The failover order follows risk in steps of a tenth, which is content. */
function generationsOfOrder(site: Rounds): number {
  return site.last.plan.failoverOrder.join() === 'a,b,c' ? 0 : 1;
}

t.test('risk becomes weight, weight becomes a ramp', async (t) => {
  t.test('in peace every region has its base weight and nothing moves', async (t) => {
    const site = inPeace();
    t.strictSame(site.owned(), THIRDS);
    const first = ownersOf(site);
    site.pass(600_000);
    t.strictSame(site.weights, { a: 1, b: 1, c: 1 });
    t.equal(ownersOf(site), first);
    t.equal(site.last.plan.generation, 1);
  });

  t.test(
    'a region at risk loses weight in steps with its risk, and keys leave it over the period',
    async (t) => {
      const site = inPeace();
      site.risk('a', 0.5).pass(ROUND_MS);
      t.strictSame(site.weights, { a: 0.55, b: 1, c: 1 });
      t.equal(site.record('a').reason, 'at_risk');
      t.equal(site.progress(), 0);
      t.equal(site.served('a'), 86 / 256, 'no key has left yet');
      site.pass(30_000);
      t.equal(site.progress(), 0.5);
      site.pass(30_000);
      t.equal(site.progress(), undefined);
      t.strictSame(site.owned(), { a: 55, b: 101, c: 100 });
    },
  );

  t.test('it keeps a tenth between high and evict, and nothing from there', async (t) => {
    const site = inPeace();
    site.risk('a', 0.85).pass(120_000);
    t.strictSame(site.weights, { a: 0.1, b: 1, c: 1 });
    site.risk('a', 0.95).pass(120_000);
    t.strictSame(site.weights, { a: 0, b: 1, c: 1 });
    t.equal(site.record('a').reason, 'evicted');
    t.strictSame(site.owned(), { a: 0, b: 128, c: 128 });
  });

  t.test('an engine whose confidence is no more than a half leaves the probe share', async (t) => {
    const site = inPeace();
    site.risk('a', 0.99, 0.5).pass(120_000);
    t.strictSame(site.weights, { a: 0.02, b: 1, c: 1 });
    t.ok(site.owned().a! > 0);
    const probeOf = (demand: number): number => {
      const busy = inPeace();
      busy.demand = demand;
      busy.rules = { ...busy.rules, shards: 16_384 };
      busy.risk('a', 0.99, 0.5).pass(120_000);
      const { desired } = busy.record('a');
      return desired / (2 + desired);
    };
    t.ok(Math.abs(600 * probeOf(600) - 0.5) < 0.01, `half a request a second: ${probeOf(600)}`);
    const least = 16_384 * probeOf(60_000);
    t.ok(Math.abs(least - 4) < 0.01, `of one shard alone the clients may be silent: ${least}`);
  });

  t.test('forecasts demote no more than maxDemoted at once, the most endangered first', async (t) => {
    const site = inPeace(['a', 'b', 'c', 'd']);
    site.risk('b', 0.95).risk('c', 0.8).pass(ROUND_MS);
    t.strictSame(site.weights, { a: 1, b: 0, c: 1, d: 1 });
    t.equal(site.record('c').reason, 'max_demoted');
    site.say('c', { assessment: { ...assessed(1), failureProbability: 0 }, capacity: 100 });
    site.demand = 900;
    site.pass(ROUND_MS);
    t.equal(site.record('c').reason, 'max_demoted', 'who has too much to do comes after who may fail');
    const freer = inPeace(['a', 'b', 'c', 'd'], { rules: { maxDemoted: 0.5 } });
    freer.risk('b', 0.95).risk('c', 0.8).pass(ROUND_MS);
    t.strictSame(freer.weights, { a: 1, b: 0, c: 0.1, d: 1 });
  });

  t.test('the last region is spared whatever is predicted', async (t) => {
    const site = inPeace(['a', 'b'], { rules: { maxDemoted: 1 } });
    site.risk('a', 0.99).risk('b', 0.98).pass(ROUND_MS);
    t.strictSame(site.weights, { a: 0, b: 1 });
    t.equal(site.record('b').reason, 'last_region');
    const alone = inPeace(['a']);
    alone.risk('a', 0.99).pass(ROUND_MS);
    t.strictSame(alone.weights, { a: 1 });
  });

  t.test('risk is believed at once and disbelieved after the dwell, down to its highest since', async (t) => {
    const site = inPeace();
    site.risk('a', 0.8).pass(ROUND_MS);
    t.equal(site.record('a').actedRisk, 0.8);
    site.risk('a', 0.72).pass(300_000);
    t.equal(site.record('a').actedRisk, 0.8, 'within the hysteresis nothing falls');
    site.risk('a', 0.1).pass(30_000);
    site.risk('a', 0.4).pass(30_000);
    t.equal(site.record('a').actedRisk, 0.8, 'not before the dwell is over');
    site.pass(ROUND_MS);
    t.equal(site.record('a').actedRisk, 0.4);
  });

  t.test('a risk that trembles moves nothing', async (t) => {
    const site = inPeace();
    site.risk('a', 0.5).pass(120_000);
    const { owners } = site.planned();
    const { generation } = site.last.plan;
    for (let i = 0; i < 20; i++) site.risk('a', i % 2 === 0 ? 0.51 : 0.5).pass(ROUND_MS);
    t.equal(ownersOf(site), owners);
    t.equal(site.last.plan.generation, generation);
  });

  t.test('a forecast raises nobody above its base weight', async (t) => {
    const site = inPeace();
    site.risk('b', 0.9, 0.9).pass(ROUND_MS);
    for (const { weight, baseWeight } of site.last.plan.regions) t.ok(weight <= baseWeight);
  });
});

t.test('what the survivors can carry', async (t) => {
  /** Regions of 100 requests/s each. */
  const loaded = (demand: number, capacity: Record<string, number> = { a: 100, b: 100, c: 100 }): Rounds => {
    const site = new Rounds(Object.keys(capacity));
    for (const [id, one] of Object.entries(capacity)) site.say(id, { capacity: one });
    site.demand = demand;
    site.plan();
    return site;
  };
  /** Requests/s per region by the shards that it owns. */
  const loadsOf = (site: Rounds): Record<string, number> =>
    Object.fromEntries(
      Object.entries(site.owned()).map(([id, shards]) => [id, (site.demand * shards) / site.rules.shards]),
    );

  t.test('where there is room, everything goes', async (t) => {
    const site = loaded(150);
    site.risk('a', 0.95).pass(120_000);
    t.strictSame(site.weights, { a: 0, b: 1, c: 1 });
  });

  t.test('too much load takes from a region what it cannot carry, and no more', async (t) => {
    const site = loaded(210, { a: 80, b: 200, c: 200 });
    const overloaded = { ...assessed(1), failureProbability: 0 };
    site.say('a', { assessment: overloaded }).pass(120_000);
    const { a } = loadsOf(site);
    t.ok(a! > 55 && a! <= 65, `70 would come to it, 64 is its target: ${a}`);
    site.say('a', { assessment: { ...overloaded, failureProbability: 0.95 } }).pass(120_000);
    t.equal(loadsOf(site).a, 0, 'one that may fail as well loses all');
  });

  t.test('where there is not enough, less is moved and no survivor goes over its target', async (t) => {
    const site = loaded(180);
    site.risk('a', 0.95).pass(120_000);
    const loads = loadsOf(site);
    t.ok(loads.b! <= 81 && loads.c! <= 81, JSON.stringify(loads));
    t.ok(loads.a! >= 18, 'what finds no room stays');
    t.equal(site.record('a').reason, 'no_room');
  });

  t.test('what fails now, or is announced to, fills survivors up to what the guards allow', async (t) => {
    const site = loaded(180);
    site.risk('a', 1, 1).pass(120_000);
    t.strictSame(site.weights, { a: 0, b: 1, c: 1 });
    t.strictSame(loadsOf(site), { a: 0, b: 90, c: 90 });
    const crowded = loaded(190);
    crowded.risk('a', 1, 1).pass(120_000);
    t.ok(loadsOf(crowded).a! >= 9, 'and no further');
  });

  t.test('what has left a failing region stays away while demand trembles', async (t) => {
    const site = loaded(180);
    const owners: string[] = [];
    for (const medianDemand of [180, 175, 250, 178, 140, 185, 188, 181, 230, 183, 186]) {
      site.medianDemand = medianDemand;
      site.risk('a', 1, 1).pass(ROUND_MS);
      owners.push(ownersOf(site));
    }
    t.equal(loadsOf(site).a, 0);
    t.equal(new Set(owners.slice(3)).size, 1, 'no shard has come back');
    site.medianDemand = 260;
    site.risk('a', 1, 1).pass(120_000);
    t.ok(loadsOf(site).a! > 30, 'more than the others can carry does');
  });

  t.test(
    'a likely failure is weighed against the demand that is expected, a possible one against more',
    (t) => {
      const site = loaded(210);
      site.medianDemand = 150;
      site.risk('a', 0.65).pass(120_000);
      t.ok(loadsOf(site).a! > 40, 'little room by the demand that may come');
      site.risk('a', 0.95).pass(120_000);
      t.equal(loadsOf(site).a, 0);
      t.end();
    },
  );

  t.test('survivors that are over their target already are given nothing', async (t) => {
    const site = loaded(255);
    const before = ownersOf(site);
    site.risk('a', 0.95).pass(120_000);
    t.equal(ownersOf(site), before);
  });

  t.test('what does not fit in one goes to the next', async (t) => {
    const site = loaded(150, { a: 100, b: 60, c: 500 });
    site.risk('a', 0.95).pass(120_000);
    const loads = loadsOf(site);
    t.ok(loads.b! <= 50.6, JSON.stringify(loads));
    t.equal(loads.a, 0);
  });

  t.test(
    'a region that is gone is carried by the others in proportion, over their target or not',
    async (t) => {
      const site = loaded(255, { a: 100, b: 100, c: 200 });
      site.say('a', { healthFactor: 0 }).pass(ROUND_MS);
      const loads = loadsOf(site);
      t.equal(loads.a, 0);
      const shares = [loads.b! / 100, loads.c! / 200];
      t.ok(Math.abs(shares[0]! - shares[1]!) < 0.1, `utilisations ${shares}`);
    },
  );
});

t.test('critical requests are kept in stable regions', async (t) => {
  const site = inPeace(undefined, { critical: true });
  t.strictSame(site.owned('all!critical'), THIRDS);
  site.risk('a', 0.31).pass(ROUND_MS);
  t.ok(site.owned().a! > 80, 'others hardly notice');
  t.equal(site.owned('all!critical').a, 0);
  site.pass(120_000);
  t.equal(site.served('a', 'all!critical'), 0);
  for (const id of ['a', 'b', 'c']) site.risk(id, 0.4);
  site.pass(200_000);
  t.ok(site.owned('all!critical').a! > 0, 'where all are at risk, none is left out');
});

t.test('measured load', async (t) => {
  /** One request/s per shard but for some. */
  const loadsWith = (hot: Readonly<Record<number, number>>, shards = 256): Float64Array => {
    const loads = new Float64Array(shards).fill(1);
    for (const [shard, load] of Object.entries(hot)) loads[Number(shard)] = load;
    return loads;
  };
  const shardsOf = (site: Rounds, region: number): number[] =>
    [...decodeOwners(ownersOf(site)).entries()].flatMap(([shard, owner]) =>
      owner === region ? [shard] : [],
    );

  t.test('a region with hot shards is relieved within the budget of a round and of an hour', async (t) => {
    const site = inPeace();
    const hot = Object.fromEntries(shardsOf(site, 0).map((shard) => [shard, 2]));
    site.loads = loadsWith(hot);
    const { moves } = site.pass(ROUND_MS);
    t.strictSame(moves, { balance: 5 }, 'two percent of 256 shards');
    let moved = 5;
    for (let i = 0; i < 400; i++) moved += site.pass(ROUND_MS).moves.balance ?? 0;
    t.ok(moved <= 12, `five percent an hour, moved ${moved}`);
    t.ok(moved >= 10, `and not much less, moved ${moved}`);
  });

  t.test('equal loads move nothing', async (t) => {
    const site = inPeace();
    const before = ownersOf(site);
    site.loads = loadsWith({});
    site.pass(60_000);
    t.equal(ownersOf(site), before);
  });

  t.test('a shard too hot to move is lent in part, the loan ends when nobody renews it', async (t) => {
    const site = inPeace();
    const [shard] = shardsOf(site, 0);
    site.loads = loadsWith({ [shard!]: 200 });
    site.pass(ROUND_MS);
    const [lend] = site.planned().lends;
    t.equal(lend!.shard, shard);
    t.not(lend!.to, 0);
    t.ok(lend!.share > 0 && lend!.share <= 0.5);
    t.ok(Date.parse(lend!.until) > site.now);
    const { generation } = site.last.plan;
    site.pass(2 * ROUND_MS);
    t.equal(site.last.plan.generation, generation, 'a loan that goes on is no news in every round');
    site.pass(120_000);
    t.ok(Date.parse(site.planned().lends[0]!.until) > site.now, 'it is renewed while it is needed');
    site.loads = loadsWith({});
    site.pass(ROUND_MS);
    t.strictSame(site.planned().lends, []);
  });

  t.test('weights are followed by load, not by count', async (t) => {
    const site = inPeace();
    site.loads = loadsWith(
      Object.fromEntries(
        shardsOf(site, 0)
          .slice(0, 40)
          .map((shard) => [shard, 1.3]),
      ),
    );
    site.risk('a', 0.5).pass(120_000);
    const owners = decodeOwners(ownersOf(site));
    const total = site.loads.reduce((sum, load) => sum + load, 0);
    const own = site.loads.reduce((sum, load, shard) => sum + (owners[shard] === 0 ? load : 0), 0);
    t.ok(Math.abs(own / total - 0.55 / 2.55) < 0.02, `share of load ${own / total}`);
  });
});

t.test('the document', async (t) => {
  t.test('its neutral owners are those of the base weights', async (t) => {
    const site = inPeace();
    t.strictSame(site.planned().neutral, []);
    site.risk('a', 0.8).pass(120_000);
    const owners = decodeOwners(ownersOf(site));
    for (const [shard, owner] of site.planned().neutral) owners[shard] = owner;
    t.strictSame(
      [0, 1, 2].map((region) => owners.filter((owner) => owner === region).length),
      Object.values(THIRDS),
    );
  });

  t.test('the same inputs give the same digest, by whichever engine', async (t) => {
    const history = (incarnation: string): Rounds => {
      const site = inPeace(undefined, { incarnation, critical: true });
      site.risk('a', 0.55).pass(35_000);
      site.say('c', { healthFactor: 0.7 }).pass(60_000);
      return site;
    };
    const [one, other] = [history('01JD0000000000000000000000'), history('01JE0000000000000000000000')];
    t.equal(one.last.plan.digest, other.last.plan.digest);
    other.risk('a', 0.9).pass(ROUND_MS);
    t.not(one.pass(ROUND_MS).plan.digest, other.last.plan.digest);
  });

  t.test('the order in which an operator lists regions moves no shard', async (t) => {
    const forwards = inPeace(['a', 'b', 'c']);
    const backwards = inPeace(['c', 'b', 'a']);
    for (const site of [forwards, backwards]) site.risk('b', 0.8).pass(120_000);
    t.equal(ownersOf(forwards), ownersOf(backwards));
    t.strictSame(forwards.weights, backwards.weights);
  });

  t.test('the generation grows with what proxies act upon, not with time or with figures', async (t) => {
    const site = inPeace();
    for (const risk of [0.05, 0.1, 0.2, 0.29]) site.risk('a', risk).pass(ROUND_MS);
    t.equal(site.last.plan.generation, 1 + generationsOfOrder(site), 'a low risk changes nothing');
    const { evaluatedAt } = site.last.plan;
    t.equal(Date.parse(evaluatedAt), site.now, 'but it is told how recent it is');
  });

  t.test('a round is a function: asked twice it answers the same', async (t) => {
    const site = inPeace();
    site.risk('a', 0.6);
    site.now += ROUND_MS;
    const input = site.input();
    t.strictSame(planRound(site.state, input), planRound(site.state, input));
  });

  t.test('regions that come and go move only their own shards', async (t) => {
    const site = inPeace(['a', 'b', 'c', 'd']);
    const before = decodeOwners(ownersOf(site));
    const ids = [...site.state.regionIds];
    site.regions.delete('b');
    site.tables = [['a', 'c', 'd']];
    site.pass(ROUND_MS);
    const after = decodeOwners(ownersOf(site));
    const names = site.state.regionIds;
    const kept = [...before].every(
      (owner, shard) => ids[owner] === 'b' || names[after[shard]!] === ids[owner],
    );
    t.ok(kept, 'only shards of the region that went have moved');
    t.notOk([...after].some((owner) => owner >= 3));
  });
});

t.test('assessments are told with the plan', async (t) => {
  const site = inPeace();
  site.say('a', { assessment: { ...assessed(0.4), reasons: ['memory reaches its limit in 4 min'] } });
  site.pass(ROUND_MS);
  const region = site.last.plan.regions[0] as Record<string, unknown>;
  t.equal(region.risk, 0.4);
  t.strictSame(region.reasons, ['memory reaches its limit in 4 min']);
});
