// What operators change while the proxy runs: overrides of regions, sharding policies. Holds what is in force apart
// from what the file says, makes one configuration of both, and changes it one at a time: whole configuration made,
// applied by the path of a reload, kept on disk with its entry in the audit log, or none of these.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type AppliedPolicies, applyPolicies, type PolicyChanges } from '../config/apply-policies.ts';
import { policyProblems } from '../config/policy-problems.ts';
import type { Config } from '../config/schema.ts';
import { policyDocument } from '../config/schema-policy.ts';
import type { Cause, DeskPort, DeskResult, PolicyDocuments, RefusedReload } from '../control/desk-port.ts';
import { type Clock, wallTimestamp } from '../core/clock.ts';
import { ownOf } from '../core/own.ts';
import {
  expiredOverrides,
  overriddenWeight,
  type RegionOverride,
  type RegionOverrides,
} from '../state/region-overrides.ts';
import type { AuditEntry, ControlState, PolicyRevision } from '../state/stores/control-messages.ts';
import { ControlStore } from '../state/stores/control-store.ts';

interface Change {
  readonly overrides?: RegionOverrides;
  readonly policies?: PolicyDocuments;
}

export class ControlDesk implements DeskPort {
  readonly #path: string;
  readonly #clock: Clock;
  #store: ControlStore | undefined;
  #overrides: RegionOverrides = {};
  #policies: PolicyDocuments = {};
  #revision = 0;
  #written: Config | undefined;
  #refusedReload: RefusedReload | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  /** Applies a configuration; a sentence when it is refused. */
  apply: (config: Config) => string | undefined = () => undefined;

  private constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** With what was changed before this process. Rejects when there is something and it cannot be read. */
  static async open(folder: string, clock: Clock): Promise<ControlDesk> {
    const desk = new ControlDesk(join(resolve(folder), 'control.sqlite'), clock);
    await desk.load();
    return desk;
  }

  /** Reads what another process may have changed. */
  async load(): Promise<void> {
    if (this.#store === undefined && !existsSync(this.#path)) return;
    this.#take(await this.#database().load());
  }

  get overrides(): RegionOverrides {
    return this.#overrides;
  }

  get policies(): PolicyDocuments {
    return this.#policies;
  }

  /** Of the policies in force; 0 = nothing was changed yet. */
  get revision(): number {
    return this.#revision;
  }

  get written(): Config {
    if (this.#written === undefined) throw new Error('no configuration is in force yet');
    return this.#written;
  }

  /** The file's configuration, once what it makes is in force. */
  set written(config: Config) {
    // A change at run time applies the same content again: what is refused of the file still is.
    if (config !== this.#written) this.#refusedReload = undefined;
    this.#written = config;
  }

  get refusedReload(): RefusedReload | undefined {
    return this.#refusedReload;
  }

  /** The file has a content that is not taken. */
  refuseReload(problems: readonly string[]): void {
    this.#refusedReload = { at: wallTimestamp(this.#clock), problems };
  }

  /** Sentences: what the file now says otherwise than before, and what stays as it was changed at run time. */
  overruled(written: Config): string[] {
    const saidBy = (config: Config | undefined, name: string) =>
      config?.shardingPolicies.find((policy) => policy.name === name);
    return Object.keys(this.#policies)
      .filter((name) => !isDeepStrictEqual(saidBy(this.#written, name), saidBy(written, name)))
      .map(
        (name) =>
          `shardingPolicies: ${name} of the file is not in force, it was changed at run time (revision ${this.#revision})`,
      );
  }

  /** What the file and the API make together; a sentence when they contradict each other. */
  effective(written: Config): Config | string {
    const made = this.madeOf(written, this.#policies, this.#overrides);
    if (!made.ok) return `what was changed at run time does not fit: ${made.problems.join('; ')}`;
    return made.config;
  }

  /** The same for other policies, without touching anything. */
  madeOf(
    written: Config,
    documents: PolicyDocuments,
    overrides: RegionOverrides = this.#overrides,
  ): AppliedPolicies {
    const changes = parsedPolicies(documents);
    if (Array.isArray(changes)) return { ok: false, problems: changes, violations: [] };
    const applied = applyPolicies(written, changes as PolicyChanges);
    if (!applied.ok) return applied;
    const regions = applied.config.regions.map((region) => ({
      ...region,
      weight: overriddenWeight(region.weight, ownOf(overrides, region.id)),
    }));
    return { ok: true, config: { ...applied.config, regions } };
  }

  /** @param override undefined takes it back. */
  override(
    region: string,
    override: RegionOverride | undefined,
    cause: Omit<Cause, 'from'>,
  ): Promise<DeskResult> {
    return this.#next(() => {
      const from = ownOf(this.#overrides, region) ?? null;
      const { [region]: _, ...others } = this.#overrides;
      const overrides = override === undefined ? others : { ...others, [region]: override };
      return this.#change({ overrides }, { ...cause, from });
    });
  }

  /** @param isCurrent whether the revision that the change was made from still holds: asked when its turn has come. */
  changePolicies(
    make: (before: PolicyDocuments) => PolicyDocuments,
    isCurrent: (revision: number) => boolean,
    causeOf: (before: PolicyDocuments, after: PolicyDocuments) => Cause,
  ): Promise<DeskResult | 'stale'> {
    return this.#next(async () => {
      if (!isCurrent(this.#revision)) return 'stale';
      const policies = make(this.#policies);
      return this.#change({ policies }, causeOf(this.#policies, policies));
    });
  }

  /** Takes back overrides that are over. */
  async expire(): Promise<void> {
    for (const region of expiredOverrides(this.#overrides, this.#clock.wallMs())) {
      const { [region]: from } = this.#overrides;
      await this.override(region, undefined, {
        who: 'foreshard',
        what: 'region.undrain',
        target: region,
        to: null,
        why: `its time was over at ${from?.until}`,
      });
    }
  }

  /** Rejects when it cannot be kept. */
  async note(cause: Cause): Promise<void> {
    await this.#next(() => this.#database().commit({ audit: this.#dated(cause) }));
  }

  async audit(limit: number): Promise<readonly AuditEntry[]> {
    return existsSync(this.#path) ? this.#database().audit(limit) : [];
  }

  async revisions(limit: number): Promise<readonly PolicyRevision[]> {
    return existsSync(this.#path) ? this.#database().revisions(limit) : [];
  }

  async revisionOf(revision: number): Promise<PolicyRevision | undefined> {
    return existsSync(this.#path) ? this.#database().revision(revision) : undefined;
  }

  async close(): Promise<void> {
    await this.#tail;
    await this.#store?.close();
    this.#store = undefined;
  }

  async #change(change: Change, cause: Cause): Promise<DeskResult> {
    const before = { overrides: this.#overrides, policies: this.#policies };
    const after = { ...before, ...change };
    const made = this.madeOf(this.written, after.policies, after.overrides);
    if (!made.ok) return { ok: false, status: 422, problems: made.problems };
    this.#overrides = after.overrides;
    this.#policies = after.policies;
    const refused = this.apply(this.written);
    if (refused !== undefined) {
      this.#restore(before);
      return { ok: false, status: 409, problems: [refused] };
    }
    try {
      const kept = await this.#database().commit({ ...change, audit: this.#dated(cause) });
      this.#revision = kept ?? this.#revision;
    } catch (error) {
      this.#restore(before);
      this.apply(this.written);
      return { ok: false, status: 503, problems: [(error as Error).message] };
    }
    return { ok: true, revision: this.#revision };
  }

  #dated(cause: Cause): AuditEntry {
    return { at: new Date(this.#clock.wallMs()).toISOString(), ...cause };
  }

  #restore({ overrides, policies }: Required<Change>): void {
    this.#overrides = overrides;
    this.#policies = policies;
  }

  #take({ overrides, policies }: ControlState): void {
    this.#overrides = overrides as RegionOverrides;
    this.#policies = policies?.policies ?? {};
    this.#revision = policies?.revision ?? 0;
  }

  /** One change at a time: each is made from what the one before has left. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  #database(): ControlStore {
    this.#store ??= new ControlStore(this.#path);
    return this.#store;
  }
}

/** Sentences where documents are no policies. */
function parsedPolicies(documents: PolicyDocuments): PolicyChanges | string[] {
  const problems: string[] = [];
  const policies = Object.entries(documents).map(([name, document]) => {
    if (document === null) return [name, null] as const;
    const parsed = policyDocument.safeParse(document);
    if (parsed.success) return [name, parsed.data] as const;
    problems.push(...policyProblems(document).map((problem) => `shardingPolicies.${name}.${problem}`));
    return [name, null] as const;
  });
  return problems.length > 0 ? problems : Object.fromEntries(policies);
}
