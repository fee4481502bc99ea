// The engine's resources, in front of an engine that the test makes up.

import fastify from 'fastify';
import t, { type Test } from 'tap';
import { engineRoutes } from '../../../src/control/api/engine.ts';
import type { Cause } from '../../../src/control/desk-port.ts';
import type { EngineAnswer, EngineAsk } from '../../../src/control/engine-port.ts';

function start(t: Test, answer: EngineAnswer, note: (cause: Cause) => Promise<void> = async () => {}) {
  const asked: EngineAsk[] = [];
  const app = fastify();
  t.teardown(() => app.close());
  const ask = async (question: EngineAsk): Promise<EngineAnswer> => {
    asked.push(question);
    return answer;
  };
  engineRoutes(app, () => ({ ask }), { note });
  return { app, asked };
}

t.test('a question that is given twice is refused, not a fault', async (t) => {
  const { app, asked } = start(t, { status: 200, body: {} });
  const twice = await app.inject('/risk_scores?history=1h&history=2h');
  t.match([twice.statusCode, twice.json().title], [400, /^history: /]);
  const rows = { method: 'POST', url: '/telemetry?backfill=1&backfill=1', payload: {} } as const;
  t.equal((await app.inject(rows)).statusCode, 400);
  const wrong = await app.inject('/risk_scores?history=long');
  t.match([wrong.statusCode, wrong.json().title], [400, /^history: must be a duration.*given long$/]);
  t.strictSame(asked, []);
  await app.inject('/risk_scores?history=1h');
  await app.inject({ ...rows, url: '/telemetry?backfill=1' });
  t.match(asked, [
    { kind: 'risk_scores', historyMs: 3_600_000 },
    { kind: 'telemetry', isBackfill: true },
  ]);
});

t.test(
  'an event that is added or removed stands in the audit log, one that is refused does not',
  async (t) => {
    const change = { target: 'e1', from: null, to: { id: 'e1' } };
    const noted: Cause[] = [];
    const note = async (cause: Cause): Promise<void> => void noted.push(cause);
    const { app } = start(t, { status: 201, body: { id: 'e1' }, change }, note);
    const url = '/external_events?by=ann&reason=mail';
    const added = await app.inject({ method: 'POST', url, payload: {} });
    t.strictSame([added.statusCode, added.json()], [201, { id: 'e1' }]);
    t.strictSame(noted, [{ who: 'ann@127.0.0.1', what: 'event.add', why: 'mail', ...change }]);
    const refusing = start(t, { status: 404, body: 'no posted event x' }, note);
    t.equal((await refusing.app.inject({ method: 'DELETE', url: '/external_events/x' })).statusCode, 404);
    t.equal(noted.length, 1);
  },
);

t.test('what is done but cannot be kept in the audit log says so', async (t) => {
  const change = { target: 'e1', from: {}, to: null };
  const { app } = start(t, { status: 200, body: {}, change }, () => Promise.reject(new Error('disk full')));
  const answer = await app.inject({ method: 'DELETE', url: '/external_events/e1' });
  t.match([answer.statusCode, answer.json().title], [503, /it is done, but not in the audit log: disk full/]);
});

t.test('what comes as text already goes out as it came', async (t) => {
  const { app } = start(t, { status: 200, body: '{"regions":[]}', isJsonText: true });
  const answer = await app.inject('/risk_scores');
  t.strictSame([answer.statusCode, answer.json()], [200, { regions: [] }]);
  t.match(answer.headers['content-type'], /^application\/json/);
});
