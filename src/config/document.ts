// The kinds of configuration file: proxy.yaml and rem.yaml. One loader, one set of messages and one editor
// schema serve both; what differs between them is this table of facts.

import { z } from 'zod';
import { applyPolicies } from './apply-policies.ts';
import { crossCheck } from './cross-checks.ts';
import { type FixedSetting, PAE_FIXED, PROXY_FIXED, REM_FIXED } from './describe-change.ts';
import type { Disagreement } from './disagreement.ts';
import type { DeepReadonly } from './frozen.ts';
import type { SchemaNode } from './json-schema.ts';
import { NOT_YET, type NotYet, REM_NOT_YET } from './not-yet.ts';
import { crossCheckRem } from './rem-cross-checks.ts';
import { configSchema } from './schema.ts';
import { remSchema } from './schema-rem.ts';
import type { Tree } from './yaml-tree.ts';

export interface ConfigDocument<Parsed extends object> {
  /** Name in the help of editors. */
  readonly name: string;
  /** Command that reads it. */
  readonly command: string;
  readonly schema: z.ZodType<Parsed>;
  /** The schema with its facts. Made once: it costs some ten milliseconds. */
  node(): SchemaNode;
  readonly notYet: readonly NotYet[];
  readonly fixed: readonly FixedSetting<DeepReadonly<Parsed>>[];
  /** Stand in for required keys that are missing or wrong, so that the rest of the file is still checked. */
  readonly standIns: Readonly<Record<string, unknown>>;
  readonly required: string;
  /** What keys must agree on; `root` is the file as written. */
  disagreements(config: DeepReadonly<Parsed>, root: Tree): Iterable<Disagreement>;
  /** Defaults that depend on other keys. */
  settle(config: Parsed): Parsed;
}

export type ParsedConfig = z.output<typeof configSchema>;
export type ParsedRem = z.output<typeof remSchema>;

function nodeOf(schema: z.ZodType): () => SchemaNode {
  let node: SchemaNode | undefined;
  return () => {
    node ??= z.toJSONSchema(schema, { io: 'input', reused: 'inline' }) as SchemaNode;
    return node;
  };
}

export const PROXY_DOCUMENT: ConfigDocument<ParsedConfig> = {
  name: 'proxy.yaml',
  command: 'foreshard proxy',
  schema: configSchema,
  node: nodeOf(configSchema),
  notYet: NOT_YET,
  fixed: PROXY_FIXED,
  standIns: {
    listen: [{ address: '127.0.0.1:0' }],
    regions: [{ id: 'stand-in', servers: ['http://127.0.0.1:1'] }],
  },
  required: 'listen and regions are required',
  disagreements: (config, root) => proxyDisagreements(config, declaredRegions(root)),
  settle: settleWorkers,
};

/** The same file, as `foreshard pae` follows it. */
export const PAE_DOCUMENT: ConfigDocument<ParsedConfig> = {
  ...PROXY_DOCUMENT,
  command: 'foreshard pae',
  fixed: PAE_FIXED,
};

export const REM_DOCUMENT: ConfigDocument<ParsedRem> = {
  name: 'rem.yaml',
  command: 'foreshard rem',
  schema: remSchema,
  node: nodeOf(remSchema),
  notYet: REM_NOT_YET,
  fixed: REM_FIXED,
  standIns: {
    region: 'stand-in',
    listen: [{ address: '127.0.0.1:0' }],
    control: { address: '127.0.0.1:0' },
  },
  required: 'region, listen and control are required',
  disagreements: crossCheckRem,
  settle: settleWorkers,
};

/** What policies make of routes is looked at when everything else is right. */
function proxyDisagreements(
  config: DeepReadonly<ParsedConfig>,
  declared: ReadonlySet<string> | null,
): Disagreement[] {
  const found = crossCheck(config, declared);
  if (config.shardingPolicies.length === 0 || found.some(({ severity }) => severity === 'error'))
    return found;
  const applied = applyPolicies(config);
  if (applied.ok) return found;
  const path = ['shardingPolicies'];
  return [...found, ...applied.problems.map((sentence) => ({ path, severity: 'error' as const, sentence }))];
}

interface WithListeners {
  readonly listen: readonly { readonly address: string }[];
  readonly workers: number | 'auto';
}

/** A unix path can be listened on by one worker, so that is what `auto` means then. */
function settleWorkers<C extends WithListeners>(config: C): C {
  const hasUnixListener = config.listen.some(({ address }) => address.startsWith('unix:'));
  return config.workers === 'auto' && hasUnixListener ? { ...config, workers: 1 } : config;
}

/** Region ids as they stand in the file, wrong regions included; null when one cannot be read. */
function declaredRegions(root: Tree): ReadonlySet<string> | null {
  const regions = root.entries.get('regions');
  if (regions?.kind !== 'list') return null;
  const ids = Array.from(regions.entries.values(), (region) => region.entries.get('id'));
  if (ids.some((id) => id === undefined || id.isBroken)) return null;
  return new Set(ids.map((id) => String(id!.value)));
}
