import t from 'tap';
import { assert, unreachable } from '../../src/core/assert.ts';
import { REASONS } from '../../src/core/reasons.ts';

// contracts.md, "Reasons": words that others read in logs, metrics and headers.
const CONTRACT: Readonly<Record<string, number | undefined>> = {
  no_route: 404,
  no_shard_key: 400,
  bad_request: 400,
  header_too_large: 431,
  target_too_long: 414,
  body_too_large: 413,
  residency: 421,
  no_eligible_region: 503,
  no_healthy_server: 503,
  shed: 503,
  rate_limited: 429,
  queue_full: 507,
  connect_failed: 502,
  upstream_reset: 502,
  upstream_malformed: 502,
  upstream_too_large: 502,
  connect_timeout: 504,
  response_timeout: 504,
  deadline_exceeded: 504,
  header_timeout: 408,
  body_timeout: 408,
  retry_budget_spent: undefined,
  draining: 503,
  loop_detected: 508,
};

t.test('every reason of the contract is there with its status', async (t) => {
  const table: Readonly<Record<string, { readonly status: number }>> = REASONS;
  for (const [reason, status] of Object.entries(CONTRACT)) {
    t.ok(reason in table, reason);
    if (status !== undefined) t.equal(table[reason]?.status, status, reason);
  }
});

t.test('a reason is one lower-case word, an error status and a sentence', async (t) => {
  for (const [reason, { status, meaning }] of Object.entries(REASONS)) {
    t.match(reason, /^[a-z]+(_[a-z0-9]+)*$/);
    t.ok(status >= 400 && status <= 599, `${reason} is answered with ${status}`);
    t.match(meaning, /^[A-Z].*\.$/, reason);
  }
});

t.test('assertions throw with their message, and only when false', async (t) => {
  assert(1, 'never');
  t.throws(() => assert(0, 'shards must be positive'), /assertion failed: shards must be positive/);
  t.throws(() => unreachable('surprise' as never), /unexpected value "surprise"/);
});
