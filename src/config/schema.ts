// The configuration contract as a schema: every key of proxy.yaml with default, bounds and meaning
// beside it. One schema serves `foreshard check`, `foreshard schema` (JSON Schema for editors) and the
// README's reference. After parsing, every duration is in milliseconds, every size in bytes and every
// share in 0..1; the result is plain data that can be posted to a worker thread. What a key may not be
// *yet* is in not-yet.ts; what keys must agree on is in cross-checks.ts.

import { z } from 'zod';
import { POLICY_KINDS } from '../core/model.ts';
import type { DeepReadonly } from './frozen.ts';
import {
  cidr,
  decimal,
  duration,
  fieldName,
  httpUrl,
  nameOrNone,
  secret,
  share,
  text,
  whole,
} from './quantities.ts';
import { engine } from './schema-engine.ts';
import { namedPolicy } from './schema-policy.ts';
import { region } from './schema-region.ts';
import { route } from './schema-route.ts';
import { control, health, limits, listener, log, shutdown, workers } from './schema-shared.ts';

const sharding = z.strictObject({
  shards: whole(64, 65_536)
    .refine((n) => (n & (n - 1)) === 0)
    .meta({
      allowed: 'a power of two from 64 to 65536',
      written: { enum: Array.from({ length: 11 }, (_, i) => 64 << i) },
    })
    .prefault(4096)
    .describe("Virtual shards; fixed for a table's life."),
  policy: z
    .enum(POLICY_KINDS)
    .prefault('weighted_random')
    .describe('How routes choose a region that name no policy themselves.'),
  shiftPeriod: duration('0s', '24h')
    .prefault('30s')
    .describe('A change of weights is spread over this time, key by key.'),
  guards: z
    .strictObject({
      errors: share(0, 1).prefault('2%').describe('Added share of errors.'),
      p99: decimal(1, 100).prefault(2).describe('p99 latency as a multiple of its own baseline.'),
      utilisation: share(0, 2).prefault('90%').describe('Utilisation.'),
    })
    .prefault({})
    .describe('What the destination of a shift may not pass: the shift holds, then reverts.'),
  notify: z
    .union([httpUrl, z.literal('')])
    .meta({ allowed: 'an http:// or https:// URL, or empty' })
    .prefault('')
    .describe('URL that is told which key ranges are about to move, for owners that carry state.'),
  churn: z
    .strictObject({
      perRound: share(0, 1).prefault('9%').describe('Most key space that one round may move.'),
      perHour: share(0, 100).prefault('100%').describe('Most key space that an hour may move.'),
    })
    .prefault({})
    .describe('Bounds of moves for balance; moves for risk, health and humans are counted, not limited.'),
});

export const configSchema = z.strictObject({
  listen: z.array(listener).min(1).max(16).describe('Where clients connect.'),
  control: control
    .extend({
      readToken: secret
        .optional()
        .describe('Bearer token that opens what changes nothing; only beside token.'),
    })
    .prefault({})
    .describe('The control port.'),
  region: nameOrNone
    .prefault('')
    .describe('Region where this proxy stands: origin in foreshard-route, distance. Empty = none.'),
  zone: z
    .union([z.literal(''), text(63)])
    .prefault('')
    .describe('Zone where it stands; servers of that zone are preferred while they have room. Empty = none.'),
  clientLocation: z
    .strictObject({
      header: fieldName.optional().describe('Header with "lat,lon", believed from trustedProxies only.'),
    })
    .prefault({})
    .describe('Where clients are, for geographic_proximity; without it, the location of region.'),
  workers,
  state: z
    .strictObject({
      path: text(4096).prefault('data').describe('Directory; a relative one from where the process starts.'),
    })
    .prefault({})
    .describe('Last good plan, policies, history; one lock, which a second process waits for.'),
  log: log.prefault({}).describe('JSON lines on stdout.'),
  debugHeaders: z.boolean().prefault(false).describe('Responses carry foreshard-route.'),
  forwardedHeader: z
    .enum(['x', 'rfc7239', 'none'])
    .prefault('x')
    .describe('What servers are told of the client: x-forwarded-*, forwarded (RFC 7239), nothing.'),
  sharding: sharding.prefault({}).describe('The shard table.'),
  healthCheckInterval: duration('100ms', '1h').prefault('2s').describe('Pause between probes of a server.'),
  paeUpdateInterval: duration('50ms', '1h')
    .prefault('5s')
    .describe('Pause between pulls of the plan when nothing changed.'),
  health: health.prefault({}).describe('How servers are judged.'),
  pae: engine.prefault({}).describe('The Predictive Analytics Engine.'),
  regions: z
    .array(region)
    .min(1)
    .max(512)
    .describe('Regions with their servers, in the default order of failover.'),
  routes: z
    .array(route)
    .min(1)
    .max(10_000)
    .prefault([{ id: 'default' }])
    .describe('First match wins; no match is 404 no_route.'),
  shardingPolicies: z
    .array(namedPolicy)
    .max(1000)
    .prefault([])
    .describe('Named policies for routes; the API changes them while the proxy runs.'),
  limits: limits.prefault({}).describe('Limits of one process, over all workers.'),
  trace: z
    .strictObject({
      sample: share(0, 1)
        .prefault('1%')
        .describe(
          'Share of requests that log.access: sampled writes and of which a trace is kept; failures and retries always.',
        ),
      keep: whole(0, 1_000_000)
        .prefault(10_000)
        .describe(
          'Most traces kept in memory for /event_tracing: 30% errors, 20% retries, 15% moved keys, 15% slow, 20% sampled; some 1 KiB each.',
        ),
      slow: duration('0ms', '1h')
        .prefault('1s')
        .describe('Requests that take so long are always kept; 0 = not.'),
    })
    .prefault({})
    .describe('Traces of requests.'),
  otlp: z
    .strictObject({
      url: httpUrl
        .optional()
        .describe(
          'Where spans of sampled requests and of plans are sent by OTLP/HTTP; /v1/traces is added to a URL without path.',
        ),
      planSample: share(0, 1)
        .prefault('100%')
        .describe(
          'Share of new plans whose steps are sent as spans; evaluations that change nothing have none.',
        ),
    })
    .prefault({})
    .describe('Export of traces.'),
  trustedProxies: z
    .array(cidr)
    .max(1000)
    .prefault([])
    .describe('Peers whose forwarding headers, traceparent, priority and location are believed.'),
  shutdown,
});

export type Config = DeepReadonly<z.output<typeof configSchema>>;
export type RegionConfig = Config['regions'][number];
