// A named sharding policy: what routes may share, and what the API may change while the proxy runs. Every part is
// optional; what a policy says stands in place of the route's own.

import { z } from 'zod';
import { POLICY_KINDS, PRIORITIES } from '../core/model.ts';
import type { DeepReadonly } from './frozen.ts';
import { decimal, duration, name } from './quantities.ts';
import { key } from './schema-route.ts';
import { ownRiskThresholds } from './schema-shared.ts';

const parts = {
  policy: z.enum(POLICY_KINDS).optional().describe('How a region is chosen.'),
  regions: z.array(name).min(1).max(512).optional().describe('Eligible regions.'),
  geography: z
    .strictObject({
      near: z
        .strictObject({
          lat: decimal(-90, 90).describe('Degrees; north is positive.'),
          lon: decimal(-180, 180).describe('Degrees; east is positive.'),
        })
        .describe('From where distance counts.'),
      withinKm: decimal(1, 20_038).describe('Great-circle distance.'),
    })
    .optional()
    .describe('Of the eligible regions only those that stand so near; one without a location does not.'),
  resources: z
    .strictObject({ minCapacity: decimal(0.001, 1e9).describe('Requests/s, as configured.') })
    .optional()
    .describe('Of the eligible regions only those of such a capacity.'),
  residency: z
    .array(name)
    .max(512)
    .optional()
    .describe("Lock to these regions. It can only narrow the route's own lock."),
  priority: z.enum(PRIORITIES).optional().describe('Importance of the requests.'),
  key: key.optional().describe('What decides the shard.'),
  thresholds: ownRiskThresholds
    .optional()
    .describe('From risk to weight for this traffic; what is not named is as in pae.thresholds.'),
  maxAddedLatency: duration('0ms', '10s')
    .optional()
    .describe('A region farther than the nearest by more is not eligible; 0 = no bound.'),
};

/** As the API takes it: its name is in the path. */
export const policyDocument = z.strictObject(parts);

/** As the file has it. */
export const namedPolicy = z.strictObject({
  name: name.describe('Name that routes refer to by shardingPolicy.'),
  ...parts,
});

export type ShardingPolicy = DeepReadonly<z.output<typeof policyDocument>>;
