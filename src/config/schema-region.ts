// What one region may say: its share, its capacity and the servers in it, or the manager that knows them.

import { z } from 'zod';
import { decimal, httpUrl, name, secret, serverUrl, text } from './quantities.ts';

// `- http://127.0.0.1:9101` is the short form of `- { url: http://127.0.0.1:9101 }`. Rewritten before
// the schema sees it, so that a mistake in either form gets the message of that form.
export const server = z
  .preprocess(
    (raw) => (typeof raw === 'string' ? { url: raw } : raw),
    z.strictObject({
      url: serverUrl.describe('Origin of the server.'),
      weight: decimal(0.01, 1000).prefault(1).describe('Share of its region.'),
      zone: z
        .union([z.literal(''), text(63)])
        .prefault('')
        .describe('Part of the region that it stands in.'),
      metrics: httpUrl.optional().describe('Its metrics in Prometheus text form.'),
    }),
  )
  .meta({
    allowed: 'http://HOST:PORT, or a mapping with url',
    shorthand: { type: 'string', pattern: '^https?://[^/?#@]+/?$' },
  });

export const region = z.strictObject({
  id: name.describe('Name in logs, metrics, headers and the plan.'),
  weight: decimal(0, 1000).prefault(1).describe('Base share of the traffic; 0 = none.'),
  capacity: decimal(0.001, 1e9).optional().describe('Requests/s that it can take. Default: learnt.'),
  location: z
    .strictObject({
      lat: decimal(-90, 90).describe('Degrees; north is positive.'),
      lon: decimal(-180, 180).describe('Degrees; east is positive.'),
    })
    .optional()
    .describe('Where it stands.'),
  servers: z
    .array(server)
    .min(1)
    .max(1000)
    .optional()
    .describe('Servers; Foreshard looks after these itself.'),
  rem: httpUrl.optional().describe('API of a `foreshard rem`, instead of servers.'),
  remToken: secret.optional().describe('Bearer token for it.'),
});
