// What a proxy has counted per shard, and the same on the wire (POST /shard_loads): numbers as bytes, because a table of
// 65,536 would be half a megabyte of digits.

import { z } from 'zod';
import { MAX_TABLES } from '../core/model.ts';

/** What one proxy has counted since its last report. */
export interface ShardCounts {
  readonly proxy: string;
  readonly seconds: number;
  /** By `EligibleSet.key`. */
  readonly tables: readonly (readonly [set: string, counts: Uint32Array])[];
}

const MAX_SHARDS = 65_536;

/** The same on the wire: POST /shard_loads. */
export const shardCountsDocument = z.strictObject({
  proxy: z.string().min(1).max(253),
  seconds: z.number().positive().max(86_400),
  tables: z
    .array(
      z.strictObject({
        set: z.string().min(1).max(40_000),
        encoding: z.literal('u32le-base64'),
        counts: z
          .string()
          .max(MAX_SHARDS * 6)
          .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64'),
      }),
    )
    .max(MAX_TABLES),
});

export function encodeShardCounts({ proxy, seconds, tables }: ShardCounts): object {
  return {
    proxy,
    seconds,
    tables: tables.map(([set, counts]) => ({
      set,
      encoding: 'u32le-base64',
      counts: Buffer.from(counts.buffer, counts.byteOffset, counts.byteLength).toString('base64'),
    })),
  };
}

/** @returns a sentence where the document is malformed. */
export function decodeShardCounts(body: unknown): ShardCounts | string {
  const parsed = shardCountsDocument.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return `${issue.path.join('.') || 'body'}: ${issue.message}`;
  }
  const { proxy, seconds, tables } = parsed.data;
  return { proxy, seconds, tables: tables.map(({ set, counts }) => [set, decodeCounts(counts)] as const) };
}

function decodeCounts(text: string): Uint32Array {
  const bytes = Buffer.from(text, 'base64');
  const counts = new Uint32Array(bytes.length >>> 2);
  for (let i = 0; i < counts.length; i++) counts[i] = bytes.readUInt32LE(i * 4);
  return counts;
}
