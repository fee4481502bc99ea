// Which routes can never match, because an earlier one takes every request that they would. Path
// patterns are kept in a tree by segment, so that ten thousand routes are not compared pairwise.

export interface MatchPattern {
  /** `*`, `*.example.com` or a name, lower-case. */
  readonly host: string;
  /** `*` a segment that is not empty, `**` at the end any rest, none included. */
  readonly path: string;
  /** Empty takes any. */
  readonly methods: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

export interface ShadowedRoute {
  /** Positions in the list of patterns. */
  readonly route: number;
  readonly coveredBy: number;
}

interface Segment {
  readonly children: Map<string, Segment>;
  /** Patterns that end here, and those that end here with `**`. */
  readonly exact: number[];
  readonly rest: number[];
}

const newSegment = (): Segment => ({ children: new Map(), exact: [], rest: [] });

/** Every route that an earlier one covers, with the first that does. */
export function findShadowedRoutes(patterns: readonly MatchPattern[]): ShadowedRoute[] {
  const root = newSegment();
  const shadowed: ShadowedRoute[] = [];
  for (const [route, pattern] of patterns.entries()) {
    const { segments, takesRest } = splitPath(pattern.path);
    const covers = pathCovers(root, segments, takesRest).filter((i) => takesAll(patterns[i]!, pattern));
    if (covers.length > 0) shadowed.push({ route, coveredBy: covers.reduce((a, b) => Math.min(a, b)) });
    // A route that is covered covers nothing that its coverer does not.
    else insert(root, segments, takesRest, route);
  }
  return shadowed;
}

function splitPath(path: string): { segments: readonly string[]; takesRest: boolean } {
  const segments = path.slice(1).split('/').map(decodeSegment);
  const takesRest = segments.at(-1) === '**';
  return { segments: takesRest ? segments.slice(0, -1) : segments, takesRest };
}

/** Two ways to write one segment are one; what cannot be decoded stays as it is. */
function decodeSegment(segment: string): string {
  // An encoded slash is data and must not become structure; an encoded * is no wildcard.
  if (!segment.includes('%') || /%(2f|2a)/i.test(segment)) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function insert(root: Segment, segments: readonly string[], takesRest: boolean, route: number): void {
  let node = root;
  for (const segment of segments) {
    let child = node.children.get(segment);
    if (child === undefined) {
      child = newSegment();
      node.children.set(segment, child);
    }
    node = child;
  }
  (takesRest ? node.rest : node.exact).push(route);
}

/** Routes in the tree whose path takes every path of the given one. */
function pathCovers(root: Segment, segments: readonly string[], takesRest: boolean): number[] {
  const found: number[] = [];
  const visit = (node: Segment, depth: number): void => {
    found.push(...node.rest);
    const segment = segments[depth];
    if (segment === undefined) {
      if (!takesRest) found.push(...node.exact);
      return;
    }
    const literal = node.children.get(segment);
    if (literal !== undefined) visit(literal, depth + 1);
    // `*` takes any segment but the empty one.
    const any = segment === '*' || segment === '' ? undefined : node.children.get('*');
    if (any !== undefined) visit(any, depth + 1);
  };
  visit(root, 0);
  return found;
}

/** Whether host, methods and headers of `wide` leave nothing that only `narrow` takes. */
function takesAll(wide: MatchPattern, narrow: MatchPattern): boolean {
  return takesHost(wide.host, narrow.host) && takesMethods(wide, narrow) && takesHeaders(wide, narrow);
}

function takesHost(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true;
  return wide.startsWith('*.') && narrow.endsWith(wide.slice(1));
}

function takesMethods(wide: MatchPattern, narrow: MatchPattern): boolean {
  if (wide.methods.length === 0) return true;
  return narrow.methods.length > 0 && narrow.methods.every((method) => wide.methods.includes(method));
}

function takesHeaders(wide: MatchPattern, narrow: MatchPattern): boolean {
  return Object.entries(wide.headers).every(
    ([name, value]) => Object.hasOwn(narrow.headers, name) && narrow.headers[name] === value,
  );
}
