// Brings what a proxy knows to its engine: measurements every few seconds, posted to `pae.source` or handed to
// the analytics thread, and who owns which part of the key space. A source that does not answer costs the
// measurements of that moment and nothing else.

import { readDocuments } from '../analytics/ingest/telemetry-document.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { rootCause } from '../core/fetch-text.ts';
import { decodeOwners, type Plan, type PlanTable } from '../plan/plan.ts';
import { encodeShardCounts } from '../plan/shard-counts.ts';
import { SHARD_GROUPS } from '../state/cell-layout.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EmbeddedEngine } from './embedded-engine.ts';
import type { MeasuredDocument, MeasuredSite, OwnMeasurements } from './own-measurements.ts';

export interface FeedOptions {
  readonly config: Config;
  readonly measurements: OwnMeasurements;
  readonly engine: EmbeddedEngine | undefined;
  readonly log: Logger;
  site(): MeasuredSite;
  /** Brings in what the workers have counted. */
  flush(): Promise<void>;
  onPosted(result: 'ok' | 'failed'): void;
}

// Contract: "every 5 s at most".
const POST_MS = 5000;
const POST_WAIT_MS = 4000;
// What happens at one moment comes in several pieces; they are told together.
const HURRY_MS = 50;
const MAX_DOCUMENTS = 2000;

export class EngineFeed {
  readonly #options: FeedOptions;
  readonly #timer: NodeJS.Timeout;
  #hurry: NodeJS.Timeout | undefined;
  #isBusy = false;
  #lastFailure = '';

  constructor(options: FeedOptions) {
    this.#options = options;
    const { evaluateEvery } = options.config.pae;
    // Several readings an evaluation, so that none is empty by an unlucky moment.
    this.#timer = setInterval(() => void this.#turn(), Math.max(100, Math.min(POST_MS, evaluateEvery / 3)));
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#hurry);
  }

  /** Measures and tells at once: a region that is gone must not wait for the next turn. */
  hurry(): void {
    this.#hurry ??= setTimeout(() => {
      this.#hurry = undefined;
      void this.#turn();
    }, HURRY_MS);
  }

  async #turn(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const { flush, measurements, engine, site } = this.#options;
      await flush();
      const documents = measurements.read(site(), systemClock.monotonicMs(), systemClock.wallMs());
      const counts = measurements.takeCounts();
      if (engine !== undefined) {
        this.#handOver(documents, engine);
        if (counts !== undefined) engine.takeCounts(counts);
      } else {
        await this.#postAll(documents);
        if (counts !== undefined) this.#told(await this.#post('/shard_loads', encodeShardCounts(counts)));
      }
    } finally {
      this.#isBusy = false;
    }
  }

  #handOver(documents: readonly MeasuredDocument[], engine: EmbeddedEngine): void {
    for (let at = 0; at < documents.length; at += MAX_DOCUMENTS) {
      const read = readDocuments(documents.slice(at, at + MAX_DOCUMENTS));
      if (read.ok) engine.take(read.samples);
      else
        this.#options.log.error({ path: read.path, problem: read.problem }, 'own measurements are malformed');
    }
  }

  async #postAll(documents: readonly MeasuredDocument[]): Promise<void> {
    for (let at = 0; at < documents.length; at += MAX_DOCUMENTS) {
      this.#told(await this.#post('/telemetry', documents.slice(at, at + MAX_DOCUMENTS)));
    }
  }

  #told(problem: string | undefined): void {
    this.#options.onPosted(problem === undefined ? 'ok' : 'failed');
    // Once per new reason: an engine that is away for a day is one line.
    if (problem !== undefined && problem !== this.#lastFailure) {
      this.#options.log.warn({ problem }, 'measurements could not be posted to pae.source');
    }
    this.#lastFailure = problem ?? '';
  }

  async #post(path: string, body: object): Promise<string | undefined> {
    const { source, token } = this.#options.config.pae;
    try {
      const response = await fetch(new URL(path, source), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(POST_WAIT_MS),
        redirect: 'error',
      });
      await response.body?.cancel();
      return response.status === 202 ? undefined : `status ${response.status}`;
    } catch (error) {
      return rootCause(error);
    }
  }
}

/** Region -> share of each shard group that it owns: the mean over the plan's tables. */
export function ownershipOf(plan: Plan): Map<string, Float64Array> {
  return sharesOf(plan, (table) => decodeOwners(table.owners));
}

/** The same by base weights alone: where everything would be if no prediction had moved it. */
export function unmovedOwnershipOf(plan: Plan): Map<string, Float64Array> {
  return sharesOf(plan, (table) => {
    const owners = decodeOwners(table.owners);
    for (const [shard, owner] of table.neutral) owners[shard] = owner;
    return owners;
  });
}

function sharesOf(plan: Plan, ownersOf: (table: PlanTable) => Uint16Array): Map<string, Float64Array> {
  const shares = new Map(plan.regions.map(({ id }) => [id, new Float64Array(SHARD_GROUPS)]));
  for (const table of plan.tables) {
    const owners = ownersOf(table);
    const perGroup = owners.length / SHARD_GROUPS;
    owners.forEach((owner, shard) => {
      const region = plan.regions[owner];
      if (region === undefined) return;
      shares.get(region.id)![Math.floor(shard / perGroup)]! += 1 / perGroup / plan.tables.length;
    });
  }
  return shares;
}
