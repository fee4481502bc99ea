// A document that is put into words once for all who ask within a moment.

import t from 'tap';
import { BriefText } from '../../src/compose/brief-text.ts';
import { HandClock } from '../rig/clock.ts';

t.test('within a quarter of a second all are told the same, then it is made anew', async (t) => {
  const clock = new HandClock();
  const text = new BriefText(clock);
  let made = 0;
  const ask = (): string => text.of(() => ({ made: ++made }));
  t.equal(ask(), '{"made":1}');
  clock.pass(249);
  t.equal(ask(), '{"made":1}');
  clock.pass(1);
  t.equal(ask(), '{"made":2}');
});

t.test('what no longer holds is not told again', async (t) => {
  const text = new BriefText(new HandClock());
  t.equal(
    text.of(() => ({ frozen: false })),
    '{"frozen":false}',
  );
  text.forget();
  t.equal(
    text.of(() => ({ frozen: true })),
    '{"frozen":true}',
  );
});
