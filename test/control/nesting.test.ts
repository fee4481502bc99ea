import t from 'tap';
import { isTooDeep } from '../../src/control/nesting.ts';

const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}1${']'.repeat(depth)}`);

t.test('a body of thousands of levels is told from one that somebody means', async (t) => {
  for (const body of [undefined, null, 'text', {}, [[]], { a: [{ b: null }] }, nested(64)])
    t.notOk(isTooDeep(body));
  for (const body of [nested(65), nested(400_000), { a: [{ b: nested(100) }] }]) t.ok(isTooDeep(body));
});
