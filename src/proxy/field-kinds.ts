// What an intermediary does with a header field depends on its name alone; here is the table, for both
// directions. Names are looked up in the case in which they usually come, so that most need no folding.

/** As constants, not an enum: type stripping has none, and a switch over small integers is cheap. */
export const FieldKind = {
  endToEnd: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  expect: 6,
  te: 7,
  via: 8,
  forwardedFor: 9,
  forwardedProto: 10,
  forwardedHost: 11,
  forwarded: 12,
  traceparent: 13,
  tracestate: 14,
  /** Never forwarded: hop-by-hop, or a name that only we may set. */
  dropped: 15,
  /** Ours, which a manager keeps when a proxy sends them. */
  ownRequestId: 16,
  ownRoute: 17,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

interface NamedKind {
  readonly name: string;
  readonly kind: FieldKind;
}

const KIND_BY_NAME: Readonly<Record<string, FieldKind>> = {
  host: FieldKind.host,
  'content-length': FieldKind.contentLength,
  'transfer-encoding': FieldKind.transferEncoding,
  connection: FieldKind.connection,
  upgrade: FieldKind.upgrade,
  expect: FieldKind.expect,
  te: FieldKind.te,
  via: FieldKind.via,
  'x-forwarded-for': FieldKind.forwardedFor,
  'x-forwarded-proto': FieldKind.forwardedProto,
  'x-forwarded-host': FieldKind.forwardedHost,
  forwarded: FieldKind.forwarded,
  traceparent: FieldKind.traceparent,
  tracestate: FieldKind.tracestate,
  'keep-alive': FieldKind.dropped,
  'proxy-connection': FieldKind.dropped,
  'proxy-authorization': FieldKind.dropped,
  'proxy-authenticate': FieldKind.dropped,
  // Announced trailers that we do not forward would be a lie; response trailers need no announcement.
  trailer: FieldKind.dropped,
  // httpoxy: CGI servers turn it into HTTP_PROXY.
  proxy: FieldKind.dropped,
  'http2-settings': FieldKind.dropped,
  'x-forwarded-port': FieldKind.dropped,
  'x-forwarded-server': FieldKind.dropped,
  'x-real-ip': FieldKind.dropped,
  'foreshard-request-id': FieldKind.ownRequestId,
  'foreshard-route': FieldKind.ownRoute,
  'foreshard-shadow': FieldKind.dropped,
  // A manager to its proxy: no server has seen the request.
  'foreshard-unsent': FieldKind.dropped,
  // ORCA load report of a server to its proxy.
  'endpoint-load-metrics': FieldKind.dropped,
  'endpoint-load-metrics-bin': FieldKind.dropped,
};

// Spelled as browsers, curl and Node spell them; anything else is folded below.
const KNOWN = new Map<string, NamedKind>();
for (const [name, kind] of Object.entries(KIND_BY_NAME)) {
  KNOWN.set(name, { name, kind });
  KNOWN.set(titleCase(name), { name, kind });
}
const COMMON_END_TO_END = [
  ...['accept', 'accept-encoding', 'accept-language', 'authorization', 'cache-control', 'content-encoding'],
  ...[
    'content-type',
    'cookie',
    'date',
    'etag',
    'last-modified',
    'origin',
    'pragma',
    'range',
    'referer',
    'server',
  ],
  ...['accept-ranges', 'set-cookie', 'user-agent', 'vary', 'x-request-id', 'x-user-id', 'x-shard-key'],
];
for (const name of COMMON_END_TO_END) {
  KNOWN.set(name, { name, kind: FieldKind.endToEnd });
  KNOWN.set(titleCase(name), { name, kind: FieldKind.endToEnd });
}

function titleCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** Lower-case name and kind of a field. */
export function kindOfField(name: string): NamedKind {
  return KNOWN.get(name) ?? fold(name);
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

interface Spelling {
  readonly text: string;
  readonly name: string;
}

// Known spellings by length and first letter: comparing in place with the one or two that can match costs a
// quarter of cutting the name out and hashing it.
const LONGEST_SPELLING = 31;
const SPELLINGS: Spelling[][] = Array.from({ length: (LONGEST_SPELLING + 1) << 5 }, () => []);
for (const [text, { name }] of KNOWN)
  SPELLINGS[shapeOf(text.length, text.charCodeAt(0))]!.push({ text, name });

function shapeOf(length: number, first: number): number {
  return (length << 5) | (first & 31);
}

/**
 * Lower-case form of the field name at `from`..`to` of a head, the very same string for names that are
 * known, so that later look-ups find its hash ready; undefined when it is no token (RFC 9110, 5.6.2).
 */
export function fieldNameAt(head: string, from: number, to: number): string | undefined {
  const length = to - from;
  if (length > 0 && length <= LONGEST_SPELLING) {
    const candidates = SPELLINGS[shapeOf(length, head.charCodeAt(from))]!;
    for (let i = 0; i < candidates.length; i++) {
      const { text, name } = candidates[i]!;
      if (head.startsWith(text, from)) return name;
    }
  }
  const name = head.slice(from, to);
  return TOKEN.test(name) ? name.toLowerCase() : undefined;
}

/**
 * `X_Forwarded_For` and `x.forwarded.for` reach many servers under the name of the real field (CGI and
 * WSGI fold them), so an alias of a field that we own or control is dropped, not passed on.
 */
function fold(name: string): NamedKind {
  const lower = name.toLowerCase();
  const known = KNOWN.get(lower);
  if (known !== undefined) return known;
  if (lower.includes('_') || lower.includes('.')) {
    const alias = KIND_BY_NAME[lower.replace(/[_.]/g, '-')];
    if (alias !== undefined) return { name: lower, kind: FieldKind.dropped };
  }
  return { name: lower, kind: FieldKind.endToEnd };
}

// Options of Connection that name no field, or one that is dropped anyway.
const HARMLESS_OPTIONS = new Set([
  '',
  'close',
  'keep-alive',
  'upgrade',
  'te',
  'http2-settings',
  'proxy-connection',
]);
// Fields that the sender may not have removed: framing, addressing, and whatever we set ourselves.
const MUST_STAY = new Set([
  ...['host', 'content-length', 'transfer-encoding', 'via', 'forwarded', 'traceparent', 'tracestate'],
  ...['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'foreshard-request-id', 'foreshard-route'],
  // Removing these would change who the request is from or what it is for.
  ...['authorization', 'cookie', 'content-type', 'content-encoding'],
]);

/**
 * Field names that Connection nominates for removal, lower-case; null when there are none, `forbidden`
 * when it names one that must stay (an attack known from several proxies).
 */
export function connectionNominations(connection: string): readonly string[] | null | 'forbidden' {
  if (connection === '' || connection === 'keep-alive' || connection === 'close') return null;
  const names: string[] = [];
  for (const option of connection.split(',')) {
    const name = option.trim().toLowerCase();
    if (HARMLESS_OPTIONS.has(name)) continue;
    if (MUST_STAY.has(name)) return 'forbidden';
    names.push(name);
  }
  return names.length === 0 ? null : names;
}
