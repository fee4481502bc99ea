// Whose trace a request belongs to.

import t from 'tap';
import { seededRandom } from '../../src/core/random.ts';
import { RequestIds } from '../../src/proxy/request-ids.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

t.test('a trace that is one goes on, in its version and in later ones', async (t) => {
  const ids = new RequestIds(seededRandom(1));
  for (const received of [
    `00-${TRACE}-${PARENT}-01`,
    `cc-${TRACE}-${PARENT}-01`,
    `01-${TRACE}-${PARENT}-01-more`,
  ]) {
    const id = ids.next();
    t.match(ids.traceparent(received, id), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`), received);
    t.match(ids.span(received, id, false), { traceId: TRACE, parentId: PARENT });
  }
  t.equal(ids.span(`00-${TRACE}-${PARENT}-00`, ids.next(), true), undefined, 'the caller does not sample it');
});

t.test('what is none begins a trace of its own', async (t) => {
  const ids = new RequestIds(seededRandom(1));
  for (const received of [
    '',
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    `01-${TRACE}-${PARENT}-01more`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}`,
  ]) {
    const id = ids.next();
    t.match(ids.traceparent(received, id), new RegExp(`^00-${id}-[0-9a-f]{16}-00$`), received);
    t.equal(ids.span(received, id, false), undefined);
    const sampled = ids.span(received, id, true);
    t.strictSame([sampled?.traceId, sampled?.parentId], [id, undefined]);
  }
});
