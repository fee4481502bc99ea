// What the Predictive Analytics Engine may be told; bounds and meaning are those of the contract.

import { z } from 'zod';
import {
  decimal,
  duration,
  httpUrl,
  name,
  secret,
  serverUrl,
  share,
  tcpAddress,
  text,
} from './quantities.ts';

// One mapping with all keys instead of a union of two: see keySource in schema-route.ts.
const metricSource = z
  .strictObject({
    prometheus: httpUrl.optional().describe('A Prometheus server.'),
    queries: z
      .record(text(128), text(4096))
      .refine((queries) => Object.keys(queries).length <= 64)
      .meta({ allowed: 'a mapping of at most 64 metric names to PromQL', bounds: { maxProperties: 64 } })
      .optional()
      .describe('PromQL by metric; one series for each region.'),
    scrape: httpUrl.optional().describe('Metrics in Prometheus text form.'),
    region: name.optional().describe('Region that the scraped metrics are about.'),
    server: serverUrl.optional().describe('Server that they are about.'),
  })
  .refine((source) => {
    const asks = source.prometheus !== undefined && source.queries !== undefined;
    const scrapes = source.scrape !== undefined && source.region !== undefined;
    const mixed =
      (asks && (source.scrape ?? source.region ?? source.server) !== undefined) ||
      (scrapes && (source.prometheus ?? source.queries) !== undefined);
    return (asks || scrapes) && !mixed;
  })
  .meta({ allowed: 'either { prometheus, queries } or { scrape, region } with server if wanted' });

const eventSource = z
  .strictObject({
    file: text(4096).optional().describe('iCalendar or GeoJSON file.'),
    url: httpUrl.optional().describe('The same by HTTP.'),
    kind: z.enum(['maintenance', 'campaign', 'weather', 'other']).describe('What its events mean.'),
  })
  .refine((source) => (source.file === undefined) !== (source.url === undefined))
  .meta({ allowed: 'a mapping with kind and exactly one of file, url' });

const probability = decimal(0, 1);

const thresholds = z.strictObject({
  low: probability.prefault(0.3).describe('Risk up to which a region keeps its base weight.'),
  high: probability.prefault(0.7).describe('Risk at which a tenth of it is left.'),
  evict: probability.prefault(0.9).describe('Risk above which nothing is left.'),
  hysteresis: probability.prefault(0.1).describe('The acted risk falls only when risk is lower by this.'),
  dwell: duration('0s', '24h').prefault('60s').describe('And has been for this long.'),
  critical: probability.prefault(0.3).describe('Risk above which critical requests avoid a region.'),
});

export const engine = z.strictObject({
  mode: z
    .enum(['off', 'shadow', 'advisory', 'auto'])
    .prefault('auto')
    .describe(
      'off: weights = base x health. shadow: compute and log. advisory: an operator accepts. auto: act.',
    ),
  source: z
    .union([z.literal('embedded'), httpUrl])
    .meta({ allowed: 'embedded or the http:// URL of a `foreshard pae`' })
    .prefault('embedded')
    .describe('embedded, or http://HOST:PORT of a `foreshard pae`.'),
  listen: tcpAddress.prefault('127.0.0.1:9400').describe('Where `foreshard pae` serves.'),
  token: secret.optional().describe('Bearer token; required off loopback, on both sides.'),
  horizon: duration('1s', '24h').prefault('5m').describe('Window of the risk score.'),
  evaluateEvery: duration('250ms', '1h').prefault('30s').describe('Pause between evaluations.'),
  planTtl: duration('750ms', '24h')
    .prefault('2m')
    .describe('How long a plan holds without news from the engine; at least 3 x evaluateEvery.'),
  targetUtilisation: share(0.05, 1)
    .prefault('80%')
    .describe(
      'Capacity projection fills the other regions no further; sharding.guards.utilisation holds for what fails already.',
    ),
  thresholds: thresholds.prefault({}).describe('From risk to weight.'),
  maxDemoted: share(0, 1)
    .prefault('34%')
    .describe('Capacity that forecasts alone may demote; one region if that is more.'),
  metrics: z.array(metricSource).max(1000).prefault([]).describe('Metrics that are fetched.'),
  externalEvents: z.array(eventSource).max(100).prefault([]).describe('Calendars and alert feeds.'),
  forecast: z
    .strictObject({
      methods: z
        .array(z.enum(['ar', 'holt-winters', 'mstl', 'sarima', 'prophet']))
        .max(5)
        .prefault(['ar', 'mstl', 'sarima'])
        .describe(
          'Methods that are fitted for hours ahead, beside the naive ones; for each series those speak that did best.',
        ),
    })
    .prefault({})
    .describe('Forecasts of demand for the next day.'),
  capacityHook: z
    .strictObject({
      url: httpUrl.describe('URL that is told how many servers each region should have.'),
      signingKey: secret.describe('Signs the messages: HMAC-SHA-256 of the body in foreshard-signature.'),
    })
    .optional()
    .describe('Webhook for whoever starts and stops servers.'),
  retention: duration('1h', '3650d').prefault('14d').describe('How long metrics are kept.'),
});
