// Who may use the control port, over real sockets.

import fastify from 'fastify';
import t, { type Test } from 'tap';
import { gate } from '../../src/control/gate.ts';
import { RateLimit } from '../../src/control/rate-limit.ts';

const TOKEN = 'correct horse battery staple';
const READ = 'a reader, and no more than that';

async function start(t: Test, tokens: { token?: string; readToken?: string }) {
  const app = fastify();
  app.addHook(
    'onRequest',
    gate(() => ({ token: tokens.token, readToken: tokens.readToken })),
  );
  for (const path of ['/plan', '/healthz']) app.get(path, async () => ({}));
  for (const path of ['/explain', '/regions/:id/drain']) app.post(path, async () => ({}));
  app.delete('/sharding_policies/:name', async () => ({}));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  return async (method: string, path: string, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(url + path, { method, headers })).status;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

t.test('a read token opens what changes nothing', async (t) => {
  const ask = await start(t, { token: TOKEN, readToken: READ });
  t.equal(await ask('GET', '/plan', bearer(READ)), 200);
  t.equal(await ask('POST', '/explain', bearer(READ)), 200, 'a question with a body');
  t.equal(await ask('POST', '/regions/a/drain', bearer(READ)), 403);
  t.equal(await ask('DELETE', '/sharding_policies/a', bearer(READ)), 403);
  t.equal(await ask('DELETE', '/sharding_policies/a', bearer(TOKEN)), 200);
  t.equal(await ask('POST', '/regions/a/drain', bearer(TOKEN)), 200);
  t.equal(await ask('GET', '/plan'), 401);
});

t.test('what is only tried changes nothing', async (t) => {
  const ask = await start(t, { token: TOKEN, readToken: READ });
  t.equal(await ask('DELETE', '/sharding_policies/a?dryRun=1', bearer(READ)), 200);
  for (const query of ['dryRun=0', 'dryRun=1&dryRun=0', 'dryRun=1&dryRun=1', 'dryrun=1', 'dryRun'])
    t.equal(await ask('DELETE', `/sharding_policies/a?${query}`, bearer(READ)), 403, query);
  t.equal(await ask('POST', '/regions/a/drain?dryRun=1', bearer(READ)), 403, 'a drain cannot be tried');
});

t.test('a page of another site opens nothing, with or without a token', async (t) => {
  const open = await start(t, {});
  const closed = await start(t, { token: TOKEN });
  for (const ask of [open, closed]) {
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1', 'x']) {
      t.equal(await ask('POST', '/explain', { ...bearer(TOKEN), origin }), 403, origin);
    }
    t.equal(await ask('GET', '/plan', { ...bearer(TOKEN), 'sec-fetch-site': 'cross-site' }), 403);
  }
});

t.test('tokens are not guessed at length; whoever has one is not kept out of what is open', async (t) => {
  const ask = await start(t, { token: TOKEN });
  const answers = new Map<number, number>();
  for (let i = 0; i < 60; i++) {
    const status = await ask('GET', '/plan', bearer(`guess ${i}`));
    answers.set(status, (answers.get(status) ?? 0) + 1);
  }
  t.ok(answers.get(401)! >= 30, 'so many may be mistyped');
  t.ok((answers.get(429) ?? 0) > 0, 'then it is refused to look at another');
  t.equal(await ask('GET', '/healthz'), 200);
});

t.test('a bucket fills with time, and the addresses are bounded', async (t) => {
  const limit = new RateLimit(10, 2);
  t.strictSame([limit.take('a', 0), limit.take('a', 0), limit.take('a', 0)], [true, true, false]);
  t.ok(limit.take('b', 0), 'each address has its own');
  t.notOk(limit.has('a', 99));
  t.ok(limit.take('a', 100));
  t.notOk(limit.take('a', 100));
  t.ok(limit.take('a', 10_000) && limit.take('a', 10_000));
  t.notOk(limit.take('a', 10_000), 'no more than the burst');
});
