// The configuration contract as a schema: every key of proxy.yaml with default, bounds and meaning
// beside it. One schema serves `foreshard check`, `foreshard schema` (JSON Schema for editors) and the
// README's reference. After parsing, every duration is in milliseconds, every size in bytes and every
// share in 0..1. What a key may not be *yet* is in not-yet.ts; what keys must agree on is in
// cross-checks.ts.

import { z } from 'zod';
import { POLICY_KINDS } from '../core/model.ts';
import {
  cidr,
  duration,
  fieldName,
  httpUrl,
  listenAddress,
  name,
  serverUrl,
  share,
  size,
} from './quantities.ts';
import { DEFAULT_ROUTE, route } from './schema-route.ts';

const listener = z.strictObject({
  address: listenAddress('unix').describe('IP:PORT or unix:/path (a unix path: one worker).'),
  tls: z
    .strictObject({ cert: z.string(), key: z.string(), clientCa: z.string().optional() })
    .optional()
    .describe('Files of certificate, key and the CA that client certificates must come from.'),
  proxyProtocol: z.boolean().default(false).describe('Expect PROXY v1 or v2 before the first request.'),
});

const control = z.strictObject({
  address: listenAddress('tcp only')
    .default('127.0.0.1:9090')
    .describe('API, metrics and health of the proxy itself.'),
  token: z.string().min(16).max(4096).optional().describe('Bearer token; required off loopback.'),
});

const log = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
  access: z
    .enum(['off', 'sampled', 'all'])
    .default('sampled')
    .describe('Access lines: none, the share of trace.sample, or all.'),
});

const sharding = z.strictObject({
  shards: z
    .int()
    .min(64)
    .max(65_536)
    .refine((n) => (n & (n - 1)) === 0, 'must be a power of two, 64 to 65536')
    .default(4096)
    .describe("Virtual shards; fixed for a table's life."),
  policy: z.enum(POLICY_KINDS).default('weighted_random').describe('Policy of routes that name none.'),
  shiftPeriod: duration('0s', '24h')
    .default(30_000)
    .describe('A change of weights is spread over this time, key by key.'),
  guards: z
    .strictObject({
      errors: share(0, 1).default(0.02).describe('Added error share at which a shift holds.'),
      p99: z
        .number()
        .min(1)
        .max(100)
        .default(2)
        .describe('p99 over its own baseline at which a shift holds.'),
      utilisation: share(0, 2).default(0.9).describe('Utilisation at which a shift holds.'),
    })
    .prefault({}),
  notify: z
    .union([httpUrl, z.literal('')])
    .default('')
    .describe('Webhook told which key ranges are about to move.'),
  churn: z
    .strictObject({
      perRound: share(0, 1).default(0.09).describe('Most key space one round may move for balance.'),
      perHour: share(0, 100).default(1).describe('Most key space an hour may move for balance.'),
    })
    .prefault({}),
});

const outlier = z.strictObject({
  enabled: z.boolean().default(true),
  consecutive5xx: z.int().min(1).max(1000).default(5),
  consecutiveConnectFailures: z.int().min(1).max(1000).default(3),
  baseEjection: duration('100ms', '1h')
    .default(30_000)
    .describe('First ejection; each further one is longer by this.'),
  maxEjection: duration('100ms', '24h').default(300_000),
  maxEjected: share(0, 1)
    .default(0.5)
    .describe('Share of a region that may be ejected; never its last server.'),
});

const health = z.strictObject({
  active: z.boolean().default(true).describe('false: no probes, only passive outlier detection.'),
  path: z
    .string()
    .regex(/^\/[^\s#]*$/, 'must be a path')
    .default('/healthz')
    .describe('GET; 200..299 is a pass.'),
  timeout: duration('10ms', '60s').default(1000),
  unhealthyThreshold: z.int().min(1).max(100).default(3),
  healthyThreshold: z.int().min(1).max(100).default(2),
  outlier: outlier.prefault({}),
  panicThreshold: share(0, 1)
    .default(0.5)
    .describe('Share of registered servers below which health is ignored, residency never.'),
  slowStart: duration('0s', '1h')
    .default(30_000)
    .describe('Ramp of a recovered server; never at proxy start.'),
});

const metricSource = z.union([
  z.strictObject({ prometheus: httpUrl, queries: z.record(z.string(), z.string()) }),
  z.strictObject({ scrape: httpUrl, region: name, server: serverUrl.optional() }),
]);

const eventSource = z.union([
  z.strictObject({ file: z.string(), kind: z.enum(['maintenance', 'campaign', 'weather', 'other']) }),
  z.strictObject({ url: httpUrl, kind: z.enum(['maintenance', 'campaign', 'weather', 'other']) }),
]);

const pae = z.strictObject({
  mode: z
    .enum(['off', 'shadow', 'advisory', 'auto'])
    .default('off')
    .describe('off: weights = base x health.'),
  source: z
    .union([z.literal('embedded'), httpUrl])
    .default('embedded')
    .describe('embedded, or a `foreshard pae`.'),
  listen: listenAddress('tcp only').default('127.0.0.1:9400').describe('Where `foreshard pae` serves.'),
  token: z.string().min(16).max(4096).optional().describe('Required off loopback, both sides.'),
  horizon: duration('1s', '24h').default(300_000).describe('Window of the risk score.'),
  evaluateEvery: duration('250ms', '1h').default(30_000),
  planTtl: duration('750ms', '24h').default(120_000).describe('At least 3 x evaluateEvery.'),
  targetUtilisation: share(0.05, 1).default(0.8).describe('Capacity projection fills survivors no further.'),
  thresholds: z
    .strictObject({
      low: z.number().min(0).max(1).default(0.3),
      high: z.number().min(0).max(1).default(0.7),
      evict: z.number().min(0).max(1).default(0.9),
      hysteresis: z.number().min(0).max(1).default(0.1),
      dwell: duration('0s', '24h').default(60_000),
      critical: z.number().min(0).max(1).default(0.3),
    })
    .prefault({}),
  maxDemoted: share(0, 1).default(0.34).describe('Capacity that forecasts alone may demote.'),
  metrics: z.array(metricSource).max(1000).default([]),
  externalEvents: z.array(eventSource).max(100).default([]),
  retention: duration('1h', '3650d').default(1_209_600_000),
});

const serverEntry = z.union([
  serverUrl.transform((url) => ({ url, weight: 1, zone: '', metrics: undefined as string | undefined })),
  z
    .strictObject({
      url: serverUrl,
      weight: z.number().min(0.01).max(1000).default(1),
      zone: z.string().max(63).default(''),
      metrics: httpUrl.optional(),
    })
    .transform((entry) => ({ ...entry, metrics: entry.metrics as string | undefined })),
]);

const region = z.strictObject({
  id: name.describe('Name of the region in logs, metrics, headers.'),
  weight: z.number().min(0).max(1000).default(1).describe('Base share.'),
  capacity: z.number().positive().max(1e9).optional().describe('Requests/s it can take; default: learnt.'),
  location: z
    .strictObject({ lat: z.number().min(-90).max(90), lon: z.number().min(-180).max(180) })
    .optional(),
  servers: z.array(serverEntry).min(1).max(1000).optional().describe('An embedded REM looks after these.'),
  rem: httpUrl.optional().describe('API of a `foreshard rem`; instead of servers.'),
  remToken: z.string().max(4096).optional(),
});

const limits = z.strictObject({
  headerBytes: size('1KiB', '1MiB').default(16_384).describe('Request header block.'),
  headerFields: z.int().min(8).max(2000).default(100),
  targetBytes: size('128B', '64KiB').default(8192),
  trailerFields: z.int().min(0).max(1000).default(64).describe('Of a request or a response.'),
  responseHeaderBytes: size('1KiB', '1MiB').default(65_536).describe("A server's header block."),
  headerTimeout: duration('1s', '10m').default(60_000).describe('For a whole request header block.'),
  keepAlive: duration('1s', '1h').default(75_000).describe('Longest idle time of a client connection.'),
  connections: z.int().min(1).max(1_000_000).default(10_000).describe('Of clients, over all workers.'),
  inFlightPerServer: z.int().min(1).max(100_000).default(256).describe('Over all workers.'),
});

export const configSchema = z.strictObject({
  listen: z.array(listener).min(1).max(16),
  control: control.prefault({}),
  region: z
    .union([name, z.literal('')])
    .default('')
    .describe('Where this proxy stands.'),
  clientLocation: z
    .strictObject({ header: fieldName.optional() })
    .prefault({})
    .describe('"lat,lon" from a trusted peer.'),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(256)])
    .default('auto')
    .describe('Data-plane threads; auto = cores.'),
  state: z
    .strictObject({ path: z.string().min(1).default('data') })
    .prefault({})
    .describe('Last good plan; one lock.'),
  log: log.prefault({}),
  debugHeaders: z.boolean().default(false).describe('true: responses carry foreshard-route.'),
  forwardedHeader: z.enum(['x', 'rfc7239', 'none']).default('x'),
  sharding: sharding.prefault({}),
  healthCheckInterval: duration('100ms', '1h').default(2000),
  paeUpdateInterval: duration('50ms', '1h').default(5000),
  health: health.prefault({}),
  pae: pae.prefault({}),
  regions: z.array(region).min(1).max(512),
  routes: z.array(route).min(1).max(10_000).default([DEFAULT_ROUTE]),
  limits: limits.prefault({}),
  trace: z
    .strictObject({
      sample: share(0, 1).default(0.01),
      keep: z.int().min(0).max(1_000_000).default(10_000),
    })
    .prefault({}),
  otlp: z.strictObject({ url: httpUrl.optional() }).prefault({}),
  trustedProxies: z.array(cidr).max(1000).default([]),
  shutdown: z.strictObject({ grace: duration('0s', '1h').default(30_000) }).prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type RegionConfig = Config['regions'][number];
export type ServerConfig = NonNullable<RegionConfig['servers']>[number];
