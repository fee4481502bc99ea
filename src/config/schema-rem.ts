// The configuration of `foreshard rem` as a schema: rem.yaml. The same quantities, messages and rules as
// proxy.yaml; what both files can say is the same piece of schema (schema-shared.ts).

import { z } from 'zod';
import type { DeepReadonly } from './frozen.ts';
import {
  cidr,
  decimal,
  duration,
  fieldName,
  form,
  methodName,
  name,
  pathPattern,
  serverUrl,
  share,
  size,
  text,
  whole,
} from './quantities.ts';
import { server } from './schema-region.ts';
import { timeouts } from './schema-route.ts';
import { control, health, limits, listener, log, shutdown, workers } from './schema-shared.ts';

const regionNames = z.array(name).min(1).max(512);

// One mapping with all keys instead of a union of three: see keySource in schema-route.ts.
const residencyRule = z
  .strictObject({
    match: z
      .strictObject({ path: pathPattern.describe('* is one segment, ** any rest.') })
      .optional()
      .describe('Requests that the rule is about, by path.'),
    key: z
      .strictObject({
        header: fieldName.optional().describe('Value of this header.'),
        query: text(128).optional().describe('First value of this query parameter.'),
        cookie: text(128).optional().describe('Value of this cookie.'),
        path: whole(1, 64).optional().describe('Segment of the path, counted from 1.'),
      })
      .refine((source) => Object.keys(source).length === 1)
      .meta({ allowed: 'a mapping with exactly one of header, query, cookie, path' })
      .optional()
      .describe('Where the key stands whose prefix decides.'),
    prefix: text(256).optional().describe("Keys that begin like this are the rule's."),
    claim: text(128).optional().describe('Claim of the bearer token.'),
    in: z.array(text(256)).min(1).max(1000).optional().describe("Values of the claim that are the rule's."),
    verify: z
      .strictObject({
        jwks: text(4096).describe('File with the public keys (RFC 7517) that tokens are signed with.'),
        issuer: text(1024).optional().describe('The only issuer that is believed.'),
        audience: text(1024).optional().describe('The only audience that is believed.'),
      })
      .optional()
      .describe('How the token is verified; a claim that nobody verified decides nothing.'),
    regions: regionNames.describe('Regions that may serve such a request; no other ever does.'),
  })
  .refine((rule) => {
    const byPath = rule.match !== undefined;
    const byKey = rule.key !== undefined && rule.prefix !== undefined;
    const byClaim = rule.claim !== undefined && rule.in !== undefined && rule.verify !== undefined;
    const stray =
      (!byKey && (rule.key ?? rule.prefix) !== undefined) ||
      (!byClaim && (rule.claim ?? rule.in ?? rule.verify) !== undefined);
    return !stray && (byPath || byKey || byClaim) && !(byKey && byClaim);
  })
  .meta({
    allowed:
      'a mapping with regions and match, or key and prefix, or claim, in and verify (an unverified claim decides nothing)',
  });

const headerNames = z.array(fieldName).max(100).prefault([]);

const policy = z.strictObject({
  residency: z
    .array(residencyRule)
    .max(1000)
    .prefault([])
    .describe('Requests that only some regions may serve; the first rule that fits counts.'),
  methods: z.array(methodName).max(32).prefault([]).describe('Methods that are served; empty = all.'),
  paths: z.array(pathPattern).max(1000).prefault([]).describe('Paths that are served; empty = all.'),
  requireHeader: z
    .record(fieldName, form(/^[\s\S]{1,1024}$/, 'a regular expression of at most 1024 characters'))
    .refine((headers) => Object.keys(headers).length <= 32)
    .meta({
      allowed: 'a mapping of at most 32 headers to regular expressions',
      bounds: { maxProperties: 32 },
    })
    .prefault({})
    .describe('Headers that must be present and match the regular expression.'),
  removeHeaders: z
    .strictObject({
      request: headerNames.describe('Not passed to servers.'),
      response: headerNames.describe('Not passed to clients.'),
    })
    .prefault({})
    .describe('Headers that do not cross the border of the region.'),
  maxBody: size('0B', '1GiB').prefault('0B').describe('Largest request body; 0 = no limit.'),
});

const discovery = z
  .strictObject({
    dns: form(/^[A-Za-z0-9_.-]{1,253}$/, 'a DNS name', '_shop._tcp.eu-west.internal')
      .optional()
      .describe('Name that is looked up.'),
    type: z.enum(['srv', 'a', 'aaaa']).optional().describe('Kind of record.'),
    port: whole(1, 65_535).optional().describe('Port of the servers, for a and aaaa.'),
    scheme: z.enum(['http', 'https']).prefault('http').describe('How the servers are spoken to.'),
    file: text(4096).optional().describe('YAML list of servers, in the form of `servers`.'),
    every: duration('100ms', '1h').prefault('30s').describe('Longest time between two looks.'),
  })
  .refine((source) => {
    if (source.file !== undefined) return (source.dns ?? source.type ?? source.port) === undefined;
    if (source.dns === undefined || source.type === undefined) return false;
    return (source.type === 'srv') === (source.port === undefined);
  })
  .meta({ allowed: 'either { file }, { dns, type: srv } or { dns, type: a | aaaa, port }' });

export const remSchema = z.strictObject({
  region: name.describe('Region that this manager looks after.'),
  zone: z
    .union([z.literal(''), text(63)])
    .prefault('')
    .describe('Zone where it stands; servers of that zone are preferred while they have room. Empty = none.'),
  listen: z.array(listener).min(1).max(16).describe('Data path: requests from proxies.'),
  control: control.describe('REM API; `regions[].rem` of a proxy names this address.'),
  dataUrl: z
    .union([serverUrl, z.literal('')])
    .meta({ allowed: 'http://HOST:PORT, or empty' })
    .prefault('')
    .describe('Where proxies send requests to. Empty = the first listener.'),
  capacity: decimal(0.001, 1e9)
    .optional()
    .describe('Requests/s of the region. Default: the sum of its servers, when each has told its own.'),
  servers: z.array(server).max(1000).prefault([]).describe('Servers that are always there.'),
  discovery: z.array(discovery).max(16).prefault([]).describe('Files and DNS names that list servers.'),
  lease: z
    .strictObject({ ttl: duration('1s', '1h').prefault('15s').describe('Time until a renewal is due.') })
    .prefault({})
    .describe('Servers that register themselves.'),
  health: health.prefault({}).describe('How servers are judged.'),
  healthCheckInterval: duration('100ms', '1h').prefault('2s').describe('Pause between probes of a server.'),
  policy: policy.prefault({}).describe('What the region serves, and for whom.'),
  drain: z
    .strictObject({
      deadline: duration('0s', '1h').prefault('30s').describe('Time for running requests.'),
      maxDraining: share(0, 1)
        .prefault('34%')
        .describe(
          'Share of the capacity that may drain at once, one server if that is more; never the last.',
        ),
    })
    .prefault({})
    .describe('Planned removal.'),
  timeouts: timeouts
    .extend({
      // Below a proxy's own default: it has to hear of a server that hangs while it may still ask another region.
      response: duration('0', '1h')
        .prefault('9s')
        .describe(
          'From the request sent to the response header; 0 = none. Shorter than the proxies have, or they cannot ask elsewhere.',
        ),
    })
    .prefault({})
    .describe('Limits of time towards servers.'),
  trustedProxies: z
    .array(cidr)
    .max(1000)
    .prefault(['127.0.0.0/8', '::1/128'])
    .describe('Who may send foreshard-route.'),
  workers,
  log: log.prefault({}).describe('JSON lines on stdout.'),
  limits: limits.prefault({}).describe('Limits of one process, over all workers.'),
  shutdown,
});

export type RemConfig = DeepReadonly<z.output<typeof remSchema>>;
