// What one route may say. Defaults, bounds and meaning stand beside each key.

import { z } from 'zod';
import { POLICY_KINDS, PRIORITIES } from '../core/model.ts';
import { duration, fieldName, name, share, size } from './quantities.ts';

/** RFC 6901. */
const jsonPointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/, 'must be a JSON pointer such as /user/id');

/** Where one part of a shard key may be found; exactly one place per entry. */
export const keySource = z
  .union([
    z.strictObject({ header: fieldName.describe('All values of this header, in order.') }),
    z.strictObject({ query: z.string().min(1).max(128).describe('First value of this query parameter.') }),
    z.strictObject({ cookie: z.string().min(1).max(128).describe('Value of this cookie.') }),
    z.strictObject({ path: z.int().min(1).max(64).describe('Segment of the path, counted from 1.') }),
    z.strictObject({ json: jsonPointer.describe('String or number at this place of a JSON body.') }),
    z.strictObject({
      jwt: z.string().min(1).max(128).describe('Claim of the bearer token; not verified here.'),
    }),
    z.strictObject({ clientIp: z.literal(true).describe('Address of the client behind trusted hops.') }),
    z.literal('clientIp'),
  ])
  .describe('header, query, cookie, path, json, jwt or clientIp');
export type KeySource = z.output<typeof keySource>;

const keySources = z.array(keySource).min(1).max(8);

const key = z.strictObject({
  from: keySources.describe('Where the shard key is looked for, in order.'),
  combine: z
    .enum(['first', 'all'])
    .default('first')
    .describe('first: the first found. all: every one is a part of the key.'),
  perType: z.record(z.string(), keySources).default({}).describe('Other sources by request type.'),
  onMissing: z
    .enum(['random', 'reject', 'cookie', 'default'])
    .default('random')
    .describe('What a request without a key gets.'),
  cookie: z
    .strictObject({
      name: z
        .string()
        .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, 'must be a cookie name')
        .default('foreshard'),
      ttl: duration('1s', '400d').default(86_400_000),
    })
    .prefault({})
    .describe('The cookie that onMissing: cookie sets.'),
  maxBody: size('1B', '1MiB').default(65_536).describe('How much of a body a json key may read.'),
});

const timeouts = z.strictObject({
  connect: duration('50ms', '60s').default(1000).describe('To open a connection to a server.'),
  response: duration('0', '1h')
    .default(10_000)
    .describe('From the request sent to the response header; 0 = none.'),
  idle: duration('0', '24h')
    .default(60_000)
    .describe('Longest stand-still of a body in either direction; 0 = none.'),
  total: duration('0', '24h').default(0).describe('Whole request with all attempts; 0 = none.'),
});

const retryOn = z
  .string()
  .regex(/^(connect|reset|timeout|[45]\d\d)$/, 'must be connect, reset, timeout or a status 400 to 599');

const retry = z.strictObject({
  attempts: z.int().min(1).max(10).default(2).describe('Tries in all.'),
  on: z
    .array(retryOn)
    .max(16)
    .default(['connect', 'reset', '502', '503', '504'])
    .describe('What is tried again.'),
  base: duration('1ms', '10s').default(25).describe('Backoff before the first retry, before full jitter.'),
  cap: duration('1ms', '60s').default(250).describe('Longest backoff.'),
  budget: share(0, 1).default(0.2).describe('Retries in flight, as a share of requests in flight.'),
  minBudget: z.int().min(0).max(1000).default(3).describe('Retries that are always allowed.'),
  maxBody: size('0B', '16MiB').default(65_536).describe('Largest body kept for replay.'),
});

const shadow = z.strictObject({
  to: name.optional().describe('Region that gets the copies.'),
  fraction: share(0, 1).default(0.05).describe('Share of keys copied.'),
  compare: z.boolean().default(true).describe('Compare both answers.'),
  ignore: z.array(jsonPointer).max(64).default([]).describe('Places of a JSON answer that may differ.'),
  methods: z
    .array(z.string())
    .max(16)
    .default(['GET', 'HEAD', 'OPTIONS'])
    .describe('Methods that are copied.'),
});

const methodName = z
  .string()
  .regex(/^[A-Za-z]{1,32}$/, 'must be a method name')
  .transform((text) => text.toUpperCase());

const match = z.strictObject({
  host: z
    .string()
    .regex(/^(\*|(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:.]+\])$/, 'must be a host, *.host or *')
    .transform((text) => text.toLowerCase())
    .default('*')
    .describe('Host without port; *.example.com takes any subdomain.'),
  path: z
    .string()
    .regex(/^\/[^?#\s]*$/, 'must be a path pattern such as /orders/**')
    .superRefine((text, ctx) => {
      const segments = text.slice(1).split('/');
      const at = segments.indexOf('**');
      const stray = segments.some((segment) => segment.includes('*') && segment !== '*' && segment !== '**');
      if (stray || (at !== -1 && at !== segments.length - 1)) {
        ctx.addIssue({ code: 'custom', message: 'may have * as a whole segment and ** as the last one' });
      }
    })
    .default('/**')
    .describe('* is one segment, ** any rest.'),
  methods: z.array(methodName).max(32).default([]).describe('None = all.'),
  headers: z
    .record(fieldName, z.string().max(1024))
    .default({})
    .describe('Exact values that must be present.'),
});

export const route = z.strictObject({
  id: name.describe('Name in logs, metrics and traces.'),
  match: match.prefault({}),
  key: key.prefault({ from: [{ header: 'x-shard-key' }] }),
  type: z
    .strictObject({ header: fieldName })
    .optional()
    .describe('Header that names the request type; else the method.'),
  policy: z.enum(POLICY_KINDS).optional().describe('Default: sharding.policy.'),
  regions: z.array(name).max(512).optional().describe('Eligible regions. Default: all.'),
  residency: z.array(name).max(512).default([]).describe('Lock to these regions; fails closed.'),
  maxAddedLatency: duration('0ms', '10s')
    .default(0)
    .describe('Regions farther than the nearest by more are not eligible; 0 = no bound.'),
  priority: z
    .union([z.enum(PRIORITIES), z.strictObject({ header: fieldName })])
    .default('normal')
    .describe('Importance, or the header of a trusted peer that names it.'),
  timeouts: timeouts.prefault({}),
  retry: retry.prefault({}),
  shadow: shadow.prefault({}).describe('Copies of requests for comparison.'),
  whenNoRegion: z
    .enum(['reject', 'park', 'queue'])
    .default('reject')
    .describe('What happens when no region can take a request.'),
  parkFor: duration('100ms', '60s').default(10_000).describe('Longest wait of a parked request.'),
});
export type RouteConfig = z.output<typeof route>;

/** The one route of a configuration that has none: key from x-shard-key, random without. */
export const DEFAULT_ROUTE: RouteConfig = route.parse({ id: 'default' });
