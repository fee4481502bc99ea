// The vocabulary that more than one folder speaks. Types only; whoever owns a behaviour holds its code.

/** How a route chooses among its eligible regions. */
export const POLICY_KINDS = [
  'weighted_random',
  'consistent_hash',
  'round_robin',
  'geographic_proximity',
  'least_loaded',
] as const;
export type PolicyKind = (typeof POLICY_KINDS)[number];

/** Verdict of active checks on one server, as held in a live cell. */
export const HEALTH_STATES = [
  'unknown',
  'healthy',
  'degraded',
  'unhealthy',
  'draining',
  'maintenance',
] as const;
export type Health = (typeof HEALTH_STATES)[number];

/** Importance of a request; decides who is shed first and who stays in stable regions. */
export const PRIORITIES = ['critical', 'high', 'normal', 'sheddable'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Most servers of all regions together that one process can look after. */
export const MAX_SERVERS = 4096;

/** Most shard tables of a plan: one for each distinct set of regions that routes name. */
export const MAX_TABLES = 32;

/** Degrees; north and east are positive. */
export interface Location {
  readonly lat: number;
  readonly lon: number;
}

/**
 * Header or trailer fields in order, names and values alternating:
 * [name0, value0, name1, value1, ...]. Names of heads that we re-serialise are lower-case;
 * every character of a value stands for one byte (Latin-1).
 */
export type FieldList = readonly string[];
