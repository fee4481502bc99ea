import t from 'tap';
import {
  Acknowledgements,
  beginDrain,
  type Drainable,
  drainVeto,
  hastenDrain,
  settleDrain,
} from '../../src/region/drain.ts';

const servers = (...states: readonly ('up' | 'new' | 'draining' | 'down')[]): Drainable[] =>
  states.map((state, i) => ({
    id: `s${i}`,
    weight: 1,
    capacity: undefined,
    canServe: state === 'up' || state === 'new',
    isHealthy: state === 'up',
    isDraining: state === 'draining',
  }));

t.test('a drain is over when nothing runs any more, or when its time is', async (t) => {
  const drain = beginDrain(1000, 500, 7);
  t.notOk(settleDrain(drain, 3, 1499).isDone);
  t.notOk(settleDrain(drain, 0, 1001).isDone, 'a request may be on its way that nobody has counted');
  t.ok(settleDrain(drain, 0, 1250).isDone);
  t.ok(settleDrain(drain, 3, 1500).isDone);
});

t.test('a drain that is ordered again ends when was said, or sooner', async (t) => {
  const drain = beginDrain(1000, 500, 7);
  t.strictSame(hastenDrain(drain, 1400, 500), drain, 'it is not made longer');
  t.strictSame(hastenDrain(drain, 1400, undefined), drain);
  t.strictSame(hastenDrain(drain, 1400, 50), { ...drain, deadline: 1450 });
});

t.test('one server may always drain, but never the last that can serve', async (t) => {
  t.equal(drainVeto(servers('up', 'up'), 's0', 0.1), undefined, 'although it is half of the region');
  t.match(drainVeto(servers('up', 'down'), 's0', 1), /last server/);
  t.match(drainVeto(servers('up', 'draining'), 's0', 1), /last server/);
  t.match(
    drainVeto(servers('up', 'new'), 's0', 1),
    /last server/,
    'nobody knows whether the other one works',
  );
  t.equal(drainVeto(servers('new', 'new'), 's0', 1), undefined);
  t.equal(drainVeto(servers('new', 'up'), 's0', 1), undefined);
  t.equal(drainVeto(servers('up', 'up'), 'nobody', 0.1), undefined);
});

t.test('no more than a share of the region drains at once', async (t) => {
  const six = servers('draining', 'up', 'up', 'up', 'up', 'up');
  t.equal(drainVeto(six, 's1', 0.34), undefined, 'two of six');
  t.match(
    drainVeto(servers('draining', 'draining', 'up', 'up', 'up', 'up'), 's2', 0.34),
    /50 % .* at most 34 %/,
  );
  t.equal(drainVeto(six, 's0', 0.01), undefined, 'one that drains already changes nothing');
});

t.test('the share is of the capacity where all have told theirs, else of the weights', async (t) => {
  const six = servers('draining', 'up', 'up', 'up', 'up', 'up');
  const told = six.map((server, i) => ({ ...server, capacity: i === 0 ? 500 : 100 }));
  t.match(drainVeto(told, 's1', 0.34), /60 % .* at most 34 %/);
  const some = told.map((server, i) => (i === 5 ? six[5]! : server));
  t.equal(drainVeto(some, 's1', 0.34), undefined);
});

t.test('nobody waits for a proxy that has gone silent', async (t) => {
  const acknowledgements = new Acknowledgements();
  acknowledgements.acknowledge('quick', 12, 1000);
  acknowledgements.acknowledge('slow', 11, 1000);
  acknowledgements.acknowledge('gone', 3, 10);
  t.strictSame(acknowledgements.waitingFor(12, 500), ['slow']);
  acknowledgements.acknowledge('slow', 12, 1100);
  t.strictSame(acknowledgements.waitingFor(12, 500), []);
});
