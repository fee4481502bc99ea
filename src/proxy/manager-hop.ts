// What is different when this process is a region's manager: requests come from proxies that have decided
// already. Their request id and route field are kept, a request that was meant for another region is refused,
// and fields that must not cross the border of the region are removed. null for a proxy.

import type { ManagerHop } from '../routing/snapshot.ts';
import type { RequestBody } from './downstream.ts';
import { LimitedBody } from './limited-body.ts';
import type { ScreenedRequest } from './request-head.ts';

/** On a refusal of a manager: no server has seen the request, so it may go elsewhere, whatever its method. */
export const UNSENT_FIELD = 'foreshard-unsent';

export interface Arrival {
  /** Id that the proxy gave; undefined when there is none to keep. */
  readonly requestId: string | undefined;
  /** `foreshard-route` as the proxy sent it; undefined when there is none to keep. */
  readonly routeField: string | undefined;
  /** The proxy meant another region: serving it here would break what a lock promises. */
  readonly isMisdirected: boolean;
}

const NOTHING_KEPT: Arrival = { requestId: undefined, routeField: undefined, isMisdirected: false };

// What we make ourselves and what other versions may: nothing that could break a header or a log line.
const REQUEST_ID = /^[\w-]{1,64}$/;
const LONGEST_ROUTE = 1024;
const MEMBER = 'region=';

/** @param isTrusted the peer is one of `trustedProxies`: anybody else's word on a route is dropped. */
export function arrive(hop: ManagerHop, request: ScreenedRequest, isTrusted: boolean): Arrival {
  if (!isTrusted) return NOTHING_KEPT;
  const { ownRequestId, ownRoute } = request;
  return {
    requestId: REQUEST_ID.test(ownRequestId) ? ownRequestId : undefined,
    routeField: ownRoute === '' || ownRoute.length > LONGEST_ROUTE ? undefined : ownRoute,
    isMisdirected: ownRoute !== '' && !isMeantFor(hop.region, ownRoute),
  };
}

/** Fails closed: of several regions in one field every one has to be this, whoever put them there. */
function isMeantFor(region: string, route: string): boolean {
  // As routeFieldValue writes it.
  const end = MEMBER.length + region.length;
  if (
    route.startsWith(MEMBER) &&
    route.startsWith(region, MEMBER.length) &&
    (route.length === end || route[end] === ',') &&
    !route.includes(MEMBER, end)
  )
    return true;
  for (const [, quoted, token] of route.matchAll(/(?:^|,)\s*region\s*=\s*(?:"([^"]*)"|([^",;\s]*))/g)) {
    if ((quoted ?? token) !== region) return false;
  }
  return true;
}

/** The body, cut where it gets longer than the region takes. A declared length was judged with the head. */
export function bounded(body: RequestBody, hop: ManagerHop | null): RequestBody {
  if (hop === null || hop.maxBody === 0 || body.length !== undefined) return body;
  return new LimitedBody(body, hop.maxBody);
}

/** Removes the named fields from a list, in place. */
export function scrub(fields: string[], names: readonly string[] | undefined): string[] {
  if (names === undefined || names.length === 0) return fields;
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (names.includes(fields[i]!)) continue;
    fields[kept] = fields[i]!;
    fields[kept + 1] = fields[i + 1]!;
    kept += 2;
  }
  fields.length = kept;
  return fields;
}
