import t from 'tap';
import { LoadMeter } from '../../src/region/load-meter.ts';
import { LiveCells } from '../../src/state/live-cells.ts';

t.test('a region keeps its rate over a reload that gives it another index', async (t) => {
  const cells = new LiveCells(1);
  cells.resetSlot(0);
  const column = cells.column(0);
  const meter = new LoadMeter(cells);
  const eu = { id: 'eu', capacity: 100, slots: [0] };
  meter.watch([{ ...eu, index: 0 }], 0);
  for (let ms = 50; ms <= 10_000; ms += 50) {
    for (let i = 0; i < 5; i++) {
      column.attemptBegan(0, 0);
      column.attemptEnded(0, 0);
    }
    meter.tick(ms);
  }
  t.ok(Math.abs(meter.rate(0) - 100) < 1, `${meter.rate(0)} requests/s`);
  meter.watch(
    [
      { id: 'ap', capacity: undefined, slots: [], index: 0 },
      { ...eu, index: 1 },
    ],
    10_020,
  );
  t.equal(meter.rate(0), 0);
  t.ok(meter.rate(1) > 90, `${meter.rate(1)} requests/s`);
});
