// rem.yaml -> what the parts of a manager work with: the configuration of its data path (the proxy's own
// engine over one region and one route), its sources, and the policy that it publishes.

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Config, configSchema } from '../config/schema.ts';
import { server as serverSchema } from '../config/schema-region.ts';
import type { RemConfig } from '../config/schema-rem.ts';
import type { DiscoverySource } from '../region/discovery.ts';
import type { Member, MemberDescription } from '../region/members.ts';
import { type PolicyDocument, policyDocument } from '../routing/regional-policy.ts';

/** Route of a manager's data path; it shows in its logs and metrics. */
const ROUTE_ID = 'region';

// Reading it costs milliseconds, and it is needed with every change of a member.
let engineDefaults: Config | undefined;

function readEngineDefaults(): Config {
  engineDefaults ??= configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    regions: [{ id: 'stand-in', servers: ['http://127.0.0.1:1'] }],
    sharding: { shards: 64 },
    // Its proxies have the traces: they know why a request came here.
    trace: { keep: 0 },
    pae: { mode: 'off' },
    routes: [{ id: ROUTE_ID, retry: { attempts: 3, on: ['connect'], base: '1ms', cap: '10ms' } }],
  });
  return engineDefaults;
}

/**
 * The data path as a configuration of the engine. The manager tries again only what provably was not sent:
 * everything else is the proxy's to repeat, which knows other regions.
 */
export function dataPathConfig(rem: RemConfig, members: readonly Member[]): Config {
  const base = readEngineDefaults();
  return {
    ...base,
    listen: rem.listen,
    control: rem.control,
    region: rem.region,
    zone: rem.zone,
    workers: rem.workers,
    log: rem.log,
    health: rem.health,
    healthCheckInterval: rem.healthCheckInterval,
    limits: rem.limits,
    trustedProxies: rem.trustedProxies,
    shutdown: rem.shutdown,
    regions: [
      {
        id: rem.region,
        weight: 1,
        capacity: rem.capacity,
        servers: members.map(({ url, weight, zone }) => ({ url, weight, zone })),
      },
    ],
    routes: [{ ...base.routes[0]!, timeouts: rem.timeouts }],
  };
}

/** Members as the configuration names them. */
export function staticMembers(servers: RemConfig['servers']): MemberDescription[] {
  return servers.map((server) => ({ id: server.url, ...server, capacity: undefined, labels: {} }));
}

export function discoverySources({ discovery }: RemConfig): DiscoverySource[] {
  return discovery.map(({ file, dns, type, port, scheme, every }) =>
    file === undefined
      ? { kind: 'dns', name: dns!, type: type!, port, scheme, every }
      : { kind: 'file', path: resolve(file), every },
  );
}

const serverList = z.array(serverSchema).max(1000);
const MAX_FILE_BYTES = 1024 * 1024;

/** Servers that a file lists. Throws an Error whose message is a sentence. */
export async function readServerFile(path: string): Promise<MemberDescription[]> {
  const text = await readFile(path, 'utf8');
  if (text.length > MAX_FILE_BYTES) throw new Error(`must be at most ${MAX_FILE_BYTES} bytes`);
  const parsed = serverList.safeParse(parse(text) ?? []);
  if (parsed.success) return staticMembers(parsed.data);
  const issue = parsed.error.issues[0]!;
  throw new Error(`${issue.path.join('.') || 'file'}: must be a server as in rem.yaml, ${issue.message}`);
}

const jwks = z.object({
  keys: z
    .array(z.looseObject({ kty: z.string() }))
    .min(1)
    .max(64),
});
// Private members of a JWK (RFC 7518, 6): they must never leave the file.
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * The policy as it is published, with the public keys of its key files. Rejects with a sentence when a key file
 * cannot be used: a lock that cannot be checked must not look like one.
 */
export async function policyOf({ policy, health }: RemConfig): Promise<PolicyDocument> {
  const residency = await Promise.all(
    policy.residency.map(async (rule) => ({
      ...(rule.match !== undefined && { path: rule.match.path }),
      ...(rule.key !== undefined && { key: keySourceOf(rule.key), prefix: rule.prefix }),
      ...(rule.claim !== undefined && {
        claim: {
          name: rule.claim,
          in: rule.in,
          keys: await publicKeys(rule.verify!.jwks),
          issuer: rule.verify!.issuer,
          audience: rule.verify!.audience,
        },
      }),
      regions: rule.regions,
    })),
  );
  return policyDocument.parse({
    residency,
    methods: policy.methods,
    paths: policy.paths,
    requireHeader: policy.requireHeader,
    removeHeaders: policy.removeHeaders,
    maxBody: policy.maxBody,
    healthPath: health.path,
  });
}

function keySourceOf(key: NonNullable<RemConfig['policy']['residency'][number]['key']>): object {
  const { path, header, query, cookie } = key;
  if (path !== undefined) return { kind: 'path', segment: path };
  if (header !== undefined) return { kind: 'header', name: header };
  return query !== undefined ? { kind: 'query', name: query } : { kind: 'cookie', name: cookie };
}

async function publicKeys(file: string): Promise<unknown[]> {
  let parsed: z.ZodSafeParseResult<z.output<typeof jwks>>;
  try {
    parsed = jwks.safeParse(JSON.parse(await readFile(resolve(file), 'utf8')));
  } catch (error) {
    throw new Error(`the key file ${file} cannot be read: ${(error as Error).message}`);
  }
  if (!parsed.success) throw new Error(`the key file ${file} must be a JSON Web Key Set with 1 to 64 keys`);
  return parsed.data.keys.map((key) => {
    if (key.kty === 'oct') {
      throw new Error(
        `the key file ${file} must hold public keys: a secret that is published proves nothing`,
      );
    }
    return Object.fromEntries(Object.entries(key).filter(([name]) => !PRIVATE_MEMBERS.includes(name)));
  });
}
