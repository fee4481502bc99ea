// First step of a decision: which route takes the request. The first match in the operator's order wins,
// yet a thousand routes with their own hosts or first segments must not cost a thousand comparisons:
// routes are indexed by host and first path segment, and only the few lists that can hold a match are
// walked, merged in order.

/** What a route asks of a request; a compiled form of `match` in the configuration. */
export interface RoutePattern {
  /** Lower-case; `*` takes any, `*.example.com` any subdomain. */
  readonly host: string;
  /** `/orders/**`, `/users/*`, `/health`. */
  readonly path: string;
  /** Upper-case; empty takes any. */
  readonly methods: readonly string[];
  /** Names lower-case; every one must be present with exactly this value. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface MatchInput {
  readonly method: string;
  /** Lower-case, without port; empty when the request names none. */
  readonly host: string;
  /** Path of the target without query, percent-decoded for matching (see `decodePathForMatching`). */
  readonly path: string;
  /** First value of a field by lower-case name. */
  field(name: string): string | undefined;
}

interface Compiled {
  readonly pattern: RoutePattern;
  /** null stands for `*`; a literal star is written `%2A` and is text here. */
  readonly segments: readonly (string | null)[];
  /** A pattern without `*` inside: everything before the final `/**`, or the whole path. */
  readonly literal: string | null;
  readonly takesRest: boolean;
  readonly headers: readonly (readonly [string, string])[];
}

interface Bucket {
  readonly bySegment: Map<string, number[]>;
  readonly anySegment: number[];
}

const newBucket = (): Bucket => ({ bySegment: new Map(), anySegment: [] });

export class RouteMatcher {
  readonly #routes: Compiled[] = [];
  readonly #byHost = new Map<string, Bucket>();
  readonly #anyHost = newBucket();
  #hasSuffixHosts = false;
  // Whether any route begins with a fixed segment: only then is the request's worth cutting out.
  #hasSegments = false;

  /** Adds a route behind those already there. Not to be called once requests use the matcher. */
  add(pattern: RoutePattern): void {
    const index = this.#routes.push(compile(pattern)) - 1;
    if (pattern.host.startsWith('*.')) this.#hasSuffixHosts = true;
    const bucket = pattern.host === '*' ? this.#anyHost : this.#bucketOf(pattern.host);
    const first = pattern.path.split('/')[1] ?? '';
    if (first === '*' || first === '**') bucket.anySegment.push(index);
    else {
      this.#hasSegments = true;
      listOf(bucket.bySegment, decodeForMatching(first)).push(index);
    }
  }

  /** Index of the first route that takes the request, or -1. */
  match(input: MatchInput): number {
    const segment = this.#hasSegments ? firstSegment(input.path) : '';
    const exact = this.#byHost.size === 0 ? undefined : this.#byHost.get(input.host);
    const suffixes = this.#hasSuffixHosts ? this.#suffixBuckets(input.host) : undefined;
    let best = this.#firstIn(this.#anyHost, segment, input, this.#routes.length);
    if (exact !== undefined) best = this.#firstIn(exact, segment, input, best);
    for (const bucket of suffixes ?? []) best = this.#firstIn(bucket, segment, input, best);
    return best === this.#routes.length ? -1 : best;
  }

  /** Lowest matching index of a bucket that is below `limit`, else `limit`. */
  #firstIn(bucket: Bucket, segment: string, input: MatchInput, limit: number): number {
    const own = bucket.bySegment.size === 0 ? undefined : bucket.bySegment.get(segment);
    const found = own === undefined ? limit : this.#firstOf(own, input, limit);
    return this.#firstOf(bucket.anySegment, input, found);
  }

  #firstOf(candidates: readonly number[], input: MatchInput, limit: number): number {
    for (const index of candidates) {
      if (index >= limit) break;
      if (takes(this.#routes[index]!, input)) return index;
    }
    return limit;
  }

  #bucketOf(host: string): Bucket {
    let bucket = this.#byHost.get(host);
    if (bucket === undefined) {
      bucket = newBucket();
      this.#byHost.set(host, bucket);
    }
    return bucket;
  }

  #suffixBuckets(host: string): Bucket[] {
    const buckets: Bucket[] = [];
    // From the second character on: a subdomain has a name.
    for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const bucket = this.#byHost.get(`*${host.slice(dot)}`);
      if (bucket !== undefined) buckets.push(bucket);
    }
    return buckets;
  }
}

function compile(pattern: RoutePattern): Compiled {
  const written = pattern.path.slice(1).split('/');
  const takesRest = written.at(-1) === '**';
  const fixed = takesRest ? written.slice(0, -1) : written;
  const segments = fixed.map((segment) => (segment === '*' ? null : decodeForMatching(segment)));
  const literal = segments.includes(null) ? null : segments.map((segment) => `/${segment}`).join('');
  return { pattern, segments, literal, takesRest, headers: Object.entries(pattern.headers) };
}

function takes(route: Compiled, input: MatchInput): boolean {
  const { methods } = route.pattern;
  if (methods.length > 0 && !methods.includes(input.method)) return false;
  if (!takesPath(route, input.path)) return false;
  for (const [name, value] of route.headers) if (input.field(name) !== value) return false;
  return true;
}

function takesPath(route: Compiled, path: string): boolean {
  const { literal } = route;
  if (literal === null) return takesSegments(route, path.slice(1).split('/'));
  if (!route.takesRest) return path === literal;
  if (!path.startsWith(literal)) return false;
  // `/orders/**` takes /orders, /orders/ and all below, but not /orderstatus.
  return path.length === literal.length || path.charCodeAt(literal.length) === SLASH;
}

function takesSegments(route: Compiled, segments: readonly string[]): boolean {
  const wanted = route.segments;
  if (route.takesRest ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((segment, i) => (segment === null ? segments[i] !== '' : segment === segments[i]));
}

const SLASH = 0x2f;

function firstSegment(path: string): string {
  const end = path.indexOf('/', 1);
  return end === -1 ? path.slice(1) : path.slice(1, end);
}

function listOf(map: Map<string, number[]>, key: string): number[] {
  let list = map.get(key);
  if (list === undefined) {
    list = [];
    map.set(key, list);
  }
  return list;
}

/** The host as routes see it: lower-case, without the final dot of a fully qualified name. */
export function hostForMatching(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/**
 * The path as routes see it: percent-encoded bytes decoded once, so that `/%6frders` cannot slip past
 * `/orders/**`. An encoded slash or percent sign stays encoded: they are data, not structure, and two
 * different paths must not become one. What is no valid UTF-8 stays as well. What goes upstream is the path
 * as it came.
 */
export function decodePathForMatching(path: string): string {
  return path.includes('%') ? decodeForMatching(path) : path;
}

function decodeForMatching(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    const kept = run.replace(/%2f/gi, '%252F').replace(/%25(?!2F)/g, '%2525');
    try {
      return decodeURIComponent(kept);
    } catch {
      return run.toUpperCase();
    }
  });
}
