// The command line of `drive`, and the target it names.

import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { durationOption, integerOption, numberOption, optionValues, WrongUse } from './command-line.ts';
import { parseKeyPlan } from './sender/keys.ts';
import type { SenderPlan, SenderTarget } from './sender/plan.ts';
import { parseRequestKind, type RequestKind } from './sender/request-mix.ts';

export const DRIVE_HELP = `npm run bench:load -- drive --url URL [options]

Sends requests to any HTTP/1.1 server or proxy and reports latency percentiles.

Target
  --url URL              http or https; {key} in the path is replaced by the key
  --yes-not-loopback     needed when URL is not this machine: load on others' servers needs their consent
  --insecure             https: accept any certificate

Load
  --duration 10s         100ms to 24h
  --requests N           end after exactly N requests (and after --duration at the latest; 10m if not given)
  --connections 64       1 to 20000, all opened before the start
  --rate N               open loop: N requests/s whatever the answers do, latency from the time each was due,
                         free of coordinated omission; without it closed loop: next request after the answer
  --arrivals constant    constant | poisson (with --rate)
  --threads 1            1 to 64 sender threads
  --timeout 10s          per request and per connecting
  --spin                 wait for due times in a busy loop: microsecond exact, takes a core per thread

Requests
  --request KIND         METHOD[:BODY][@WEIGHT]; may be repeated: --request GET@9 --request POST:16KiB@1 (default GET)
  --header 'name: value' may be repeated
  --keys uniform:10000   none | uniform:N | zipf:N[:EXPONENT]; key user-1 .. user-N
  --key-header x-user-id header that carries the key
  --seed 1               same seed, same requests

Report
  --count-by HEADER[:MEMBER]  count responses by a field, or a member of a dictionary: foreshard-route:region
  --pid PID              CPU per request and memory of that process and its children (Linux)
  --max-p99 50ms         exit 1 if p99 is above
  --max-errors 0         exit 1 if more requests failed (no answer, or status 500 and above)
  --out DIR              default bench/results
  --json                 the result as JSON on stdout instead of the table
`;

export interface DriveOptions {
  readonly url: URL;
  readonly plan: SenderPlan;
  readonly threads: number;
  readonly pid: number | null;
  readonly maxP99Ms: number | null;
  readonly maxErrors: number | null;
  readonly out: string | null;
  readonly json: boolean;
  /** The target is not this machine, and the user said that this is meant. */
  readonly isRemote: boolean;
}

const HOUR_MS = 3_600_000;
const MAX_REQUESTS = 1e12;
const DEFAULT_DURATION = '10s';
/** With --requests alone: long enough for any sensible count, and still an end. */
const DEFAULT_DURATION_OF_COUNT = '10m';

const OPTIONS = {
  url: { type: 'string' },
  'yes-not-loopback': { type: 'boolean', default: false },
  insecure: { type: 'boolean', default: false },
  duration: { type: 'string' },
  requests: { type: 'string' },
  connections: { type: 'string', default: '64' },
  rate: { type: 'string' },
  arrivals: { type: 'string', default: 'constant' },
  threads: { type: 'string', default: '1' },
  timeout: { type: 'string', default: '10s' },
  spin: { type: 'boolean', default: false },
  request: { type: 'string', multiple: true },
  header: { type: 'string', multiple: true, default: [] as string[] },
  keys: { type: 'string', default: 'uniform:10000' },
  'key-header': { type: 'string', default: 'x-user-id' },
  seed: { type: 'string', default: '1' },
  'count-by': { type: 'string' },
  pid: { type: 'string' },
  'max-p99': { type: 'string' },
  'max-errors': { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof readValues>;

function readValues(args: readonly string[]) {
  return optionValues(args, OPTIONS);
}

export async function parseDriveOptions(args: readonly string[]): Promise<DriveOptions> {
  const values = readValues(args);
  if (values.url === undefined) throw new WrongUse('drive needs --url URL, the server or proxy to send to');
  if (!URL.canParse(values.url))
    throw new WrongUse(`--url must be an http or https URL, not "${values.url}"`);
  const url = new URL(values.url);
  const loads = planLoad(values);
  const requests = planRequests(values, url);
  const threads = integerOption('threads', values.threads, 1, 64);
  const { target, isRemote } = await resolveTarget(url, values['yes-not-loopback'], values.insecure);
  const optional = <T>(text: string | undefined, read: (text: string) => T): T | null =>
    text === undefined ? null : read(text);
  return {
    url,
    plan: { target, ...loads, ...requests, phase: 0 },
    threads,
    pid: optional(values.pid, (text) => integerOption('pid', text, 1, 2 ** 31)),
    maxP99Ms: optional(values['max-p99'], (text) => durationOption('max-p99', text, 0, HOUR_MS)),
    maxErrors: optional(values['max-errors'], (text) => integerOption('max-errors', text, 0, MAX_REQUESTS)),
    out: values.out ?? null,
    json: values.json,
    isRemote,
  };
}

function planLoad(values: Values) {
  const { arrivals } = values;
  if (arrivals !== 'constant' && arrivals !== 'poisson') {
    throw new WrongUse(`--arrivals must be constant or poisson, not "${arrivals}"`);
  }
  if (values.rate === undefined && (values.spin || arrivals === 'poisson')) {
    throw new WrongUse('--spin and --arrivals belong to an open loop: give --rate too');
  }
  const counted = values.requests !== undefined;
  const duration = values.duration ?? (counted ? DEFAULT_DURATION_OF_COUNT : DEFAULT_DURATION);
  return {
    arrivals,
    spin: values.spin,
    rate: values.rate === undefined ? null : numberOption('rate', values.rate, 0.1, 1e6),
    durationMs: durationOption('duration', duration, 100, 24 * HOUR_MS),
    requests: counted
      ? integerOption('requests', values.requests!, 1, MAX_REQUESTS)
      : Number.POSITIVE_INFINITY,
    connections: integerOption('connections', values.connections, 1, 20_000),
    timeoutMs: durationOption('timeout', values.timeout, 10, HOUR_MS),
    seed: integerOption('seed', values.seed, 0, 2 ** 32 - 1),
  } as const;
}

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Framing and hop-by-hop fields are the sender's own: another value would make the answers unreadable. */
const OWN_FIELDS = new Set(['content-length', 'transfer-encoding', 'connection', 'expect', 'upgrade', 'te']);

function planRequests(values: Values, url: URL) {
  const kinds = (values.request ?? ['GET']).map(orWrongUse(parseRequestKind)) as RequestKind[];
  const keys = orWrongUse(parseKeyPlan)(values.keys);
  const keyHeader = values['key-header'];
  if (!FIELD_NAME.test(keyHeader))
    throw new WrongUse(`--key-header must be a field name, not "${keyHeader}"`);
  for (const line of values.header) checkHeader(line);
  const usesPath = url.pathname.includes('%7Bkey%7D') || url.search.includes('{key}');
  if (usesPath && keys.kind === 'none')
    throw new WrongUse('--keys must not be none when the URL holds {key}');
  const [header = '', member = ''] = (values['count-by'] ?? '').split(':');
  if (values['count-by'] !== undefined && !FIELD_NAME.test(header)) {
    throw new WrongUse(`--count-by must be HEADER or HEADER:MEMBER, not "${values['count-by']}"`);
  }
  return {
    kinds,
    keys,
    keyHeader,
    headers: values.header,
    countBy: header === '' ? null : { header, member },
  };
}

function checkHeader(line: string): void {
  const name = line.slice(0, Math.max(0, line.indexOf(':')));
  const value = line.slice(name.length + 1);
  if (!FIELD_NAME.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new WrongUse(`--header must be 'name: value' in Latin-1 without line breaks, not "${line}"`);
  }
  if (OWN_FIELDS.has(name.toLowerCase()))
    throw new WrongUse(`--header must not set ${name}: the sender sets it`);
}

function orWrongUse<T>(parse: (text: string) => T | string): (text: string) => T {
  return (text) => {
    const parsed = parse(text);
    if (typeof parsed === 'string') throw new WrongUse(parsed);
    return parsed;
  };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Looks the name up once. Without consent a target beyond this machine is refused. */
async function resolveTarget(
  url: URL,
  consents: boolean,
  insecure: boolean,
): Promise<{ readonly target: SenderTarget; readonly isRemote: boolean }> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new WrongUse(`--url must be an http or https URL, not "${url.href}"`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new WrongUse("--url must not hold a user or password: use --header 'authorization: ...'");
  }
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(name) === 0 ? await lookupAll(name) : [name];
  const isRemote = !addresses.every((address) =>
    LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'),
  );
  if (isRemote && !consents) {
    throw new WrongUse(
      `${url.host} is not this machine (${addresses.join(', ')}). If its owner agrees to this load, add --yes-not-loopback`,
    );
  }
  const secure = url.protocol === 'https:';
  const target: SenderTarget = {
    secure,
    address: addresses[0]!,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    host: url.host,
    serverName: isIP(name) === 0 ? name : '',
    path: (url.pathname + url.search).replaceAll('%7Bkey%7D', '{key}'),
    insecure,
  };
  return { target, isRemote };
}

async function lookupAll(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map((entry) => entry.address);
  } catch (error) {
    throw new WrongUse(`--url names ${name}, which has no address: ${(error as Error).message}`);
  }
}
