// What happens for hours is said once a minute.

import t from 'tap';
import { RarePhrase } from '../../src/telemetry/rare-phrase.ts';
import { HandClock } from '../rig/clock.ts';

t.test('a phrase is said at once, then once a minute with how often it was', async (t) => {
  const clock = new HandClock();
  const phrase = new RarePhrase(clock);
  t.equal(phrase.due('the disk is full'), 1);
  let said = 0;
  for (let second = 0; second < 59; second++) {
    clock.pass(1000);
    said += phrase.due('the disk is full');
  }
  t.equal(said, 0);
  t.equal(phrase.due('the disk is gone'), 1, 'another is news');
  clock.pass(1000);
  t.equal(phrase.due('the disk is full'), 60);
});

t.test('texts that are never the same do not flood the log either', async (t) => {
  const phrase = new RarePhrase(new HandClock());
  const said = Array.from({ length: 1000 }, (_, i) => phrase.due(`row ${i} is lost`)).filter((n) => n > 0);
  t.equal(said.length, 17);
});
