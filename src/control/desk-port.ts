// What the API asks of whoever holds what operators change at run time (compose/control-desk.ts).

import type { AppliedPolicies, PolicyViolation } from '../config/apply-policies.ts';
import type { Config } from '../config/schema.ts';
import type { RegionOverride, RegionOverrides } from '../state/region-overrides.ts';
import type { AuditEntry, PolicyRevision } from '../state/stores/control-messages.ts';

/** Documents of the API as they were given, by name; null takes the file's policy of that name out. */
export type PolicyDocuments = Readonly<Record<string, unknown>>;

export type DeskResult =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly status: 409 | 422 | 503; readonly problems: readonly string[] };

/** What of a change is told to the log of it. */
export type Cause = Omit<AuditEntry, 'at'>;

export interface RefusedReload {
  /** RFC 3339. */
  readonly at: string;
  readonly problems: readonly string[];
}

export interface DeskPort {
  readonly overrides: RegionOverrides;
  readonly policies: PolicyDocuments;
  /** Of the policies in force; 0 = nothing was changed yet. */
  readonly revision: number;
  /** What the file says. */
  readonly written: Config;
  /** A later content of the file that is not in force: wrong, or against what was changed at run time. */
  readonly refusedReload: RefusedReload | undefined;
  /** The configuration that these policies would make of it, without touching anything. */
  madeOf(written: Config, documents: PolicyDocuments): AppliedPolicies;
  /** @param override undefined takes it back. @param cause what it was before is known when its turn has come. */
  override(
    region: string,
    override: RegionOverride | undefined,
    cause: Omit<Cause, 'from'>,
  ): Promise<DeskResult>;
  /** @param isCurrent whether the revision still holds that the change was made from: asked when its turn has come. */
  changePolicies(
    make: (before: PolicyDocuments) => PolicyDocuments,
    isCurrent: (revision: number) => boolean,
    causeOf: (before: PolicyDocuments, after: PolicyDocuments) => Cause,
  ): Promise<DeskResult | 'stale'>;
  /** Keeps an entry of what was changed elsewhere: in the engine. */
  note(cause: Cause): Promise<void>;
  /** Newest first. */
  audit(limit: number): Promise<readonly AuditEntry[]>;
  /** Newest first. */
  revisions(limit: number): Promise<readonly PolicyRevision[]>;
  revisionOf(revision: number): Promise<PolicyRevision | undefined>;
}

/** What a change of policies would do, as far as it can be told beforehand. */
export interface PolicyPreview {
  /** Routes whose treatment changes, with what it was and what it would be. */
  readonly diff: readonly { readonly route: string; readonly from: object; readonly to: object }[];
  /** Shards that would have another owner, summed over the routes that change. */
  readonly shardsMoved: number;
  /** Requests/s of now that would go to another region; an estimate from the routes' share of all requests. */
  readonly loadMoved: number;
  /** Requests/s over capacity after it; null where a capacity is not known. */
  readonly projectedUtilisation: Readonly<Record<string, number | null>>;
  /** Policies, changed or not, that could not be kept: nobody can serve them, or those who do would be too full. */
  readonly violatedPolicies: readonly PolicyViolation[];
}
