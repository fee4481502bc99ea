import t from 'tap';
import { LoadMeter, type MeteredRegion } from '../../src/region/load-meter.ts';
import { LiveCells } from '../../src/state/live-cells.ts';

const EAST: MeteredRegion = { id: 'east', index: 0, capacity: 100, slots: [0, 1] };
const WEST: MeteredRegion = { id: 'west', index: 1, capacity: undefined, slots: [2] };

class Rig {
  readonly cells = new LiveCells(2);
  readonly meter = new LoadMeter(this.cells);
  now = 1000;

  /** So many requests/s to a slot for a time, in folds of 50 ms. */
  load(slot: number, perSecond: number, ms: number, worker = 0): void {
    const column = this.cells.column(worker);
    for (let at = 0; at < ms; at += 50) {
      for (let i = 0; i < perSecond / 20; i++) column.attemptBegan(slot, 0);
      this.now += 50;
      this.meter.tick(this.now);
    }
  }
}

t.test('a steady load is measured as such, over all servers and workers of a region', async (t) => {
  const rig = new Rig();
  rig.meter.watch([EAST, WEST], rig.now);
  t.equal(rig.meter.rate(0), 0);
  t.equal(rig.cells.utilisation(0), 0);
  t.ok(Number.isNaN(rig.cells.utilisation(1)), 'without a capacity nothing is known');
  rig.load(0, 40, 700);
  t.ok(rig.meter.rate(0) > 18 && rig.meter.rate(0) < 24, 'half of a step shows after 0.7 s');
  rig.load(1, 40, 10_000, 1);
  t.ok(Math.abs(rig.meter.rate(0) - 40) < 0.5);
  t.ok(Math.abs(rig.cells.utilisation(0) - 0.4) < 0.01);
  t.equal(rig.meter.rate(1), 0);
  t.equal(rig.meter.rate(7), 0, 'a region that nobody watches');
});

t.test('the counts of a worker that died are no negative load', async (t) => {
  const rig = new Rig();
  rig.meter.watch([EAST], rig.now);
  rig.load(0, 100, 3000);
  rig.cells.clearWorker(0);
  rig.now += 50;
  rig.meter.tick(rig.now);
  t.ok(rig.meter.rate(0) > 80);
  rig.load(0, 100, 3000);
  t.ok(Math.abs(rig.meter.rate(0) - 100) < 5);
});

t.test('two ticks in one moment are one', async (t) => {
  const rig = new Rig();
  rig.meter.watch([EAST], rig.now);
  rig.load(0, 100, 1000);
  const rate = rig.meter.rate(0);
  rig.meter.tick(rig.now);
  t.equal(rig.meter.rate(0), rate);
});

t.test('a reload keeps the rate of a region that stays, wherever it stands now', async (t) => {
  const rig = new Rig();
  rig.meter.watch([EAST], rig.now);
  rig.load(0, 80, 8000);
  rig.meter.watch(
    [
      { id: 'arctic', index: 0, capacity: 10, slots: [3] },
      { ...EAST, index: 1 },
    ],
    rig.now,
  );
  t.ok(Math.abs(rig.cells.utilisation(1) - 0.8) < 0.01, 'known at once');
  t.equal(rig.cells.utilisation(0), 0);
  t.equal(rig.meter.rate(0), 0);
});

t.test('what is stated is the capacity of all servers: those that are left fill up sooner', async (t) => {
  const rig = new Rig();
  rig.meter.watch([EAST], rig.now);
  rig.load(0, 40, 8000);
  const whole = rig.cells.utilisation(0);
  rig.cells.setEjected(1, true);
  rig.load(0, 40, 50);
  t.ok(Math.abs(rig.cells.utilisation(0) / whole - 2) < 0.05, 'one of two is ejected');
  rig.cells.setHealth(0, 'unhealthy');
  rig.load(0, 40, 50);
  t.ok(
    Math.abs(rig.cells.utilisation(0) / whole - 1) < 0.05,
    'of one that is chosen in need alone nothing is known',
  );
});

t.test('of a region with a manager the servers behind it count, by its report', async (t) => {
  const rig = new Rig();
  rig.meter.watch([{ ...EAST, slots: [0] }], rig.now);
  rig.load(0, 40, 8000);
  const whole = rig.cells.utilisation(0);
  rig.cells.setReported(0, { registered: 4, healthy: 1 });
  rig.load(0, 40, 50);
  t.ok(Math.abs(rig.cells.utilisation(0) / whole - 4) < 0.1);
});

t.test('what would be left without a server carries the load of all, or is not known', async (t) => {
  const rig = new Rig();
  rig.meter.watch([EAST, { ...WEST, capacity: 100 }], rig.now);
  rig.load(0, 40, 8000);
  t.ok(Math.abs(rig.meter.utilisationWithout(1) - 40 / 150) < 0.01, 'half of the one region and the other');
  rig.cells.setEjected(0, true);
  t.ok(rig.meter.utilisationWithout(1) > 0.39, 'nothing is left of the first');
  rig.meter.watch([EAST, WEST], rig.now);
  t.ok(Number.isNaN(rig.meter.utilisationWithout(1)));
});
