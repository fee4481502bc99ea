// What one route may say. Defaults, bounds and meaning stand beside each key; a quantity's default is
// written as an operator would write it and parsed like anything else.

import { z } from 'zod';
import { POLICY_KINDS, PRIORITIES } from '../core/model.ts';
import type { DeepReadonly } from './frozen.ts';
import {
  cookieName,
  duration,
  fieldName,
  fieldValues,
  hostPattern,
  jsonPointer,
  methodName,
  name,
  pathPattern,
  share,
  size,
  text,
  whole,
} from './quantities.ts';
import { ownRiskThresholds } from './schema-shared.ts';

/** Where one part of a shard key is looked for. */
export type KeySource =
  | { readonly header: string }
  | { readonly query: string }
  | { readonly cookie: string }
  | { readonly path: number }
  | { readonly json: string }
  | { readonly jwt: string }
  | 'clientIp';

const KEY_PLACES = 'header, query, cookie, path, json, jwt, clientIp';

// One mapping with seven optional keys instead of a union of seven: a misspelt key is then named, with
// the right one, where a union could only say that none of its seven forms fits.
const keySource = z
  .preprocess(
    (raw) => (raw === 'clientIp' ? { clientIp: true } : raw),
    z
      .strictObject({
        header: fieldName.optional().describe('All values of this header, in order.'),
        query: text(128).optional().describe('First value of this query parameter.'),
        cookie: text(128).optional().describe('Value of this cookie.'),
        path: whole(1, 64).optional().describe('Segment of the path, counted from 1.'),
        json: jsonPointer.optional().describe('Text or number at this place of a JSON body.'),
        jwt: text(128).optional().describe('Claim of the bearer token, which is not verified here.'),
        clientIp: z.literal(true).optional().describe('Address of the client behind trusted hops.'),
      })
      .refine((source) => Object.keys(source).length === 1)
      .transform((source): KeySource => {
        const { clientIp, ...place } = source;
        // The refinement above leaves exactly one key, which is what the union says.
        return clientIp === true ? 'clientIp' : (place as KeySource);
      }),
  )
  .meta({
    allowed: `clientIp, or a mapping with exactly one of ${KEY_PLACES}`,
    shorthand: { const: 'clientIp' },
    bounds: { minProperties: 1, maxProperties: 1 },
  });

const keySources = z.array(keySource).min(1).max(8);

export const key = z.strictObject({
  from: keySources
    .prefault([{ header: 'x-shard-key' }])
    .describe('Where the shard key is looked for, in order.'),
  combine: z
    .enum(['first', 'all'])
    .prefault('first')
    .describe('first: the first that is found. all: every one is a part of the key.'),
  perType: z
    .record(text(128), keySources)
    .refine((types) => Object.keys(types).length <= 64)
    .meta({ allowed: 'a mapping of at most 64 request types', bounds: { maxProperties: 64 } })
    .prefault({})
    .describe('Other sources by request type (see type).'),
  onMissing: z
    .enum(['random', 'reject', 'cookie', 'default'])
    .prefault('random')
    .describe(
      'A request without a key: random shard, 400 no_shard_key, a cookie that makes it sticky, one shard for all.',
    ),
  cookie: z
    .strictObject({
      name: cookieName.prefault('foreshard').describe('Name of the cookie.'),
      ttl: duration('1s', '400d').prefault('1d').describe('How long a client keeps it.'),
    })
    .prefault({})
    .describe('The cookie that onMissing: cookie sets.'),
  maxBody: size('1B', '1MiB')
    .prefault('64KiB')
    .describe('How much of a body a json key may buffer; a longer body has no key.'),
});

export const timeouts = z.strictObject({
  connect: duration('50ms', '60s').prefault('1s').describe('To open a connection to a server.'),
  response: duration('0', '1h')
    .prefault('10s')
    .describe('From the request sent to the response header; 0 = none.'),
  idle: duration('0', '24h')
    .prefault('60s')
    .describe('Longest stand-still of a body in either direction; 0 = none.'),
  total: duration('0', '24h').prefault('0s').describe('The whole request with all attempts; 0 = none.'),
});

// 502 is a number to YAML and "502" is text; both mean the status.
const retryOn = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((word) => /^(connect|reset|timeout|[45]\d\d)$/.test(word))
  .meta({
    allowed: 'connect, reset, timeout or a status from 400 to 599',
    written: {
      anyOf: [
        { type: 'string', pattern: '^(connect|reset|timeout|[45]\\d\\d)$' },
        { type: 'integer', minimum: 400, maximum: 599 },
      ],
    },
  });

const retry = z.strictObject({
  attempts: whole(1, 10).prefault(2).describe('Tries in all.'),
  on: z
    .array(retryOn)
    .max(16)
    .prefault(['connect', 'reset', '502', '503', '504'])
    .describe('What is tried again; numbers are statuses of a server, timeout is timeouts.response.'),
  base: duration('1ms', '10s').prefault('25ms').describe('Pause before the first retry, before full jitter.'),
  cap: duration('1ms', '60s').prefault('250ms').describe('Longest pause.'),
  budget: share(0, 1)
    .prefault('20%')
    .describe(
      'Retries of a second as a share of the requests in it, or in flight where that is more. What a server had under way when it failed comes on top, unless this is 0.',
    ),
  minBudget: whole(0, 1000)
    .prefault(3)
    .describe(
      'Retries a second that the budget always allows, as it does those of requests that reached no server. None goes to a region that could not answer in time.',
    ),
  maxBody: size('0B', '16MiB').prefault('64KiB').describe('Largest request body kept for a second try.'),
});

const hedge = z.strictObject({
  after: duration('0ms', '10s')
    .prefault('0ms')
    .describe(
      'A GET, HEAD or OPTIONS without a response header after this time is sent a second time beside the first, and the first good answer is taken, from another region a 2xx or 3xx alone; 0 = never. One of retry.attempts.',
    ),
  to: z
    .enum(['server', 'region'])
    .prefault('server')
    .describe(
      'Another server of the region; or another region that may stand in and has room, else another server.',
    ),
  budget: share(0, 1)
    .prefault('5%')
    .describe('Most of them in a second, as a share of the requests in it, together with retries.'),
  minBudget: whole(0, 1000).prefault(3).describe('What the budget always allows, as in retry.'),
});

const shadow = z.strictObject({
  to: name.optional().describe('Region that gets the copies.'),
  fraction: share(0, 1).prefault('5%').describe('Share of keys that are copied.'),
  compare: z.boolean().prefault(true).describe('Compare both answers.'),
  ignore: z.array(jsonPointer).max(64).prefault([]).describe('Places of a JSON answer that may differ.'),
  methods: z
    .array(methodName)
    .min(1)
    .max(16)
    .prefault(['GET', 'HEAD', 'OPTIONS'])
    .describe('Methods that are copied.'),
});

const match = z.strictObject({
  host: hostPattern.prefault('*').describe('Host without port; *.example.com takes any subdomain.'),
  path: pathPattern.prefault('/**').describe('* is one segment, ** any rest.'),
  methods: z.array(methodName).max(32).prefault([]).describe('Empty = all.'),
  headers: fieldValues.prefault({}).describe('Headers that must be present with exactly this value.'),
});

export const route = z.strictObject({
  id: name.describe('Name in logs, metrics and traces.'),
  match: match.prefault({}).describe('Requests that the route takes; the first route that matches wins.'),
  key: key.prefault({}).describe('What decides the shard.'),
  type: z
    .strictObject({ header: fieldName.describe('Its value is the request type.') })
    .optional()
    .describe('What names the request type for key.perType. Default: the method.'),
  shardingPolicy: name
    .optional()
    .describe(
      'Policy of this name (shardingPolicies, or made by the API); what it says stands in place of ours.',
    ),
  policy: z.enum(POLICY_KINDS).optional().describe('How a region is chosen. Default: sharding.policy.'),
  regions: z.array(name).min(1).max(512).optional().describe('Eligible regions. Default: all.'),
  residency: z
    .array(name)
    .max(512)
    .prefault([])
    .describe('Lock to these regions, failing closed, for retries and copies too; empty = none.'),
  maxAddedLatency: duration('0ms', '10s')
    .prefault('0ms')
    .describe('A region farther than the nearest by more is not eligible; 0 = no bound.'),
  priority: z
    .union([
      z.enum(PRIORITIES),
      z.strictObject({ header: fieldName.describe('Header of a trusted peer that names the priority.') }),
    ])
    .meta({ allowed: `one of ${PRIORITIES.join(', ')}, or { header: NAME }` })
    .prefault('normal')
    .describe('Importance, or the header of a trusted peer that names it.'),
  thresholds: ownRiskThresholds
    .optional()
    .describe('From risk to weight for this traffic; what is not named is as in pae.thresholds.'),
  timeouts: timeouts.prefault({}).describe('Limits of time.'),
  retry: retry.prefault({}).describe('Second tries, at another server or region.'),
  hedge: hedge.prefault({}).describe('A second try before the first has failed.'),
  shadow: shadow.prefault({}).describe('Copies of requests to another region, for comparison.'),
  whenNoRegion: z
    .enum(['reject', 'park', 'queue'])
    .prefault('reject')
    .describe('No region can take the request: 503, wait for one, or 202 and deliver later.'),
  parkFor: duration('100ms', '60s').prefault('10s').describe('Longest wait of a parked request.'),
});

export type RouteConfig = DeepReadonly<z.output<typeof route>>;

/** The one route of a configuration that has none: key from x-shard-key, random without. */
export const DEFAULT_ROUTE: RouteConfig = route.parse({ id: 'default' });
