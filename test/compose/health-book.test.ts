import t from 'tap';
import type { Sample } from '../../src/analytics/ingest/sample.ts';
import { HealthBook } from '../../src/compose/health-book.ts';

function said(source: string, healthy: number, registered = 4, region = 'a'): Sample[] {
  const of = { entity: { kind: 'region', id: region }, at: 0, source };
  return [
    { ...of, metric: 'registered', value: registered },
    { ...of, metric: 'healthy', value: healthy },
  ] as unknown as Sample[];
}

t.test('the share of healthy servers is the mean of what proxies see', async (t) => {
  const book = new HealthBook(5000);
  t.equal(book.healthyShare('a', 0), undefined, 'before anybody says anything');
  book.take(said('p1', 4), 0);
  book.take(said('p2', 2), 0);
  t.equal(book.healthyShare('a', 0), 0.75);
  book.take(said('p2', 0), 10);
  t.equal(book.healthyShare('a', 10), 0.5, 'one proxy that cannot reach a region does not condemn it');
});

t.test(
  'a change is told when a region becomes unavailable or available, not before all say so',
  async (t) => {
    const book = new HealthBook(5000);
    t.equal(book.take([...said('p1', 4), ...said('p2', 4)], 0), false);
    t.equal(book.take(said('p1', 0), 1), false);
    t.equal(book.take(said('p2', 0), 2), true);
    t.equal(book.take(said('p2', 0), 3), false, 'nothing new');
    t.equal(book.take(said('p2', 1), 4), true);
    t.equal(book.take(said('p1', 0, 4, 'b'), 5), true, 'a region that is first heard of as dead');
  },
);

t.test('words grow old, after fifteen seconds or three evaluations', async (t) => {
  const book = new HealthBook(1000);
  book.take(said('p1', 0), 0);
  book.take(said('p2', 4), 10_000);
  t.equal(book.healthyShare('a', 15_000), 0.5);
  t.equal(book.healthyShare('a', 15_001), 1);
  t.equal(book.healthyShare('a', 26_000), undefined);
  const slow = new HealthBook(30_000);
  slow.take(said('p1', 0), 0);
  t.equal(slow.healthyShare('a', 90_000), 0);
});

t.test(
  'where no server is registered nobody is there; half a word and other samples say nothing',
  async (t) => {
    const book = new HealthBook(1000);
    t.equal(book.take(said('p1', 0, 0), 0), true);
    t.equal(book.healthyShare('a', 0), 0);
    t.equal(book.registered('a'), 0);
    t.equal(book.take(said('p1', 3, 4, 'b').slice(0, 1), 0), false, 'how many are healthy was not said');
    t.equal(book.healthyShare('b', 0), undefined);
    t.equal(book.registered('b'), 4);
    book.take(said('p2', 5, 5, 'b'), 0);
    t.equal(book.registered('b'), 5, 'as the one that knows most says');
    t.equal(book.registered('c'), undefined);
    const cpu = { entity: { kind: 'region', id: 'a' }, metric: 'cpu', value: 0, at: 0, source: 'p1' };
    t.equal(book.take([cpu as unknown as Sample], 0), false);
  },
);
