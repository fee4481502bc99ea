// Branded identifiers. A brand exists at compile time only: it stops a route id from being passed
// where a region id is meant, and a slot from being used as an index into another table.

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Name of a region as the operator wrote it; unique in a configuration. */
export type RegionId = Brand<string, 'RegionId'>;
/** Name of a route as the operator wrote it; unique in a configuration. */
export type RouteId = Brand<string, 'RouteId'>;
/** Identity of a server: its normalised URL, or the id it registered with. */
export type ServerId = Brand<string, 'ServerId'>;
/** Position of a region in a snapshot's `regions` (sorted by id), 0..511. */
export type RegionIndex = Brand<number, 'RegionIndex'>;
/** Position of a server in the live cells; valid together with its incarnation. */
export type ServerSlot = Brand<number, 'ServerSlot'>;

export const regionId = (name: string): RegionId => name as RegionId;
export const routeId = (name: string): RouteId => name as RouteId;
export const serverId = (name: string): ServerId => name as ServerId;
export const regionIndex = (n: number): RegionIndex => n as RegionIndex;
export const serverSlot = (n: number): ServerSlot => n as ServerSlot;

/** Returned by searches over regions when none fits; never a valid index. */
export const NO_REGION = -1 as RegionIndex;
