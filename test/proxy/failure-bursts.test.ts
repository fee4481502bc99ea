import t from 'tap';
import { FailureBursts } from '../../src/proxy/failure-bursts.ts';

const SLOT = 3;

t.test('what was under way when a server died is told from what was sent to it afterwards', async (t) => {
  const bursts = new FailureBursts();
  t.ok(bursts.wasUnderWay(SLOT, 4000, 5000), 'the first to fail');
  t.ok(bursts.wasUnderWay(SLOT, 4999, 5000));
  t.ok(bursts.wasUnderWay(SLOT, 5250, 5600), 'sent while nobody could know');
  t.notOk(bursts.wasUnderWay(SLOT, 5251, 5600));
  t.ok(bursts.wasUnderWay(SLOT, 100, 6500), 'that it took long to fail is not its fault');
  t.ok(bursts.wasUnderWay(SLOT + 1, 6400, 6500), 'another server is another matter');
});

t.test('a server that fails again and again has one burst, however long it goes on', async (t) => {
  const bursts = new FailureBursts();
  let free = 0;
  for (let now = 5000; now < 65_000; now += 100) if (bursts.wasUnderWay(SLOT, now - 20, now)) free += 1;
  t.equal(free, 3, 'of 600: those of the first quarter of a second');
});

t.test('after a calm second a death is a death again', async (t) => {
  const bursts = new FailureBursts();
  bursts.wasUnderWay(SLOT, 4000, 5000);
  t.notOk(bursts.wasUnderWay(SLOT, 5900, 5999));
  t.ok(bursts.wasUnderWay(SLOT, 6900, 6999));
});
