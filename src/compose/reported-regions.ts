// Regions that a manager looks after, as a proxy sees them: polls every manager, and makes of their reports
// what the rest works with: one server (the manager's data path), a capacity, counts of the servers behind,
// and the policy. A policy is kept when its manager falls silent: a lock must not open because somebody died.

import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Standing } from '../health/monitor.ts';
import { isOwnAddress, type LocalHosts } from '../region/own-address.ts';
import { RemClient } from '../region/rem-client.ts';
import { healthyServers, type RegionReport } from '../region/report.ts';
import { type PolicyDocument, policyDocument, RegionalPolicies } from '../routing/regional-policy.ts';
import type { ReportedCounts } from '../state/live-cells.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import type { ReportedRegion } from './own-measurements.ts';

export interface ReportedRegionsTools {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  /** Name of this proxy in acknowledgements. */
  readonly proxy: string;
  readonly addresses: () => readonly string[];
  /** Hosts that mean this machine, beside loopback. */
  readonly localHosts: () => LocalHosts;
  readonly fetch: typeof fetch;
  /** Something that routing depends on has changed. */
  onChange(): void;
  /** A manager has fallen silent: look at its data path now. */
  onSuspect(dataUrl: string): void;
}

interface Watched {
  readonly key: string;
  readonly client: RemClient;
  /** Last report that was taken; kept when the manager falls silent. */
  report: RegionReport | undefined;
  /** The same, or what was measured in it since. */
  measured: RegionReport | undefined;
  policy: PolicyDocument | undefined;
  isSilent: boolean;
}

// For the answer to a poll, beyond its wait: a manager on another continent answers in a fraction of it.
const ANSWER_MS = 1000;

export class ReportedRegions {
  readonly #tools: ReportedRegionsTools;
  readonly #watched = new Map<string, Watched>();

  constructor(tools: ReportedRegionsTools) {
    this.#tools = tools;
  }

  /** Polls the managers that `config` names, and no others. */
  watch(config: Config): void {
    const wanted = new Map(
      config.regions.flatMap((region) => (region.rem === undefined ? [] : [[region.id, region]])),
    );
    for (const [id, watched] of this.#watched) {
      const region = wanted.get(id);
      if (region !== undefined && watched.key === keyOf(config, region)) continue;
      watched.client.close();
      this.#watched.delete(id);
    }
    for (const [id, region] of wanted) {
      if (this.#watched.has(id)) continue;
      const client = new RemClient({
        ...this.#tools,
        region: id,
        url: region.rem!,
        token: region.remToken,
        interval: config.healthCheckInterval,
        timeout: ANSWER_MS,
        onReport: (report) => this.#take(id, report),
        onMeasured: (report) => {
          const watched = this.#watched.get(id);
          // Of a report that was refused nothing is believed.
          const { incarnation, epoch } = watched?.report ?? {};
          if (incarnation === report.incarnation && epoch === report.epoch) watched!.measured = report;
        },
      });
      const key = keyOf(config, region);
      this.#watched.set(id, {
        key,
        client,
        report: undefined,
        measured: undefined,
        policy: undefined,
        isSilent: false,
      });
      void client.run();
    }
  }

  /** `config` with what the reports say put in: a region with a manager gets its data path for a server. */
  complete(config: Config): Config {
    const taken = new Set(config.regions.flatMap((region) => (region.servers ?? []).map(({ url }) => url)));
    return {
      ...config,
      regions: config.regions.map((region) => {
        const report = this.#watched.get(region.id)?.report;
        if (region.rem === undefined) return region;
        // Two managers with one data path would be one server in two regions.
        if (report === undefined || taken.has(report.dataUrl)) return { ...region, servers: [] };
        taken.add(report.dataUrl);
        const server = { url: report.dataUrl, weight: 1, zone: '' };
        return { ...region, servers: [server], capacity: region.capacity ?? (report.capacity || undefined) };
      }),
    };
  }

  policies(): Record<string, PolicyDocument> {
    return Object.fromEntries(
      [...this.#watched].flatMap(([id, { policy }]) => (policy === undefined ? [] : [[id, policy] as const])),
    );
  }

  /** Servers behind a region's manager; undefined where there is none, or it has lost its word. */
  counts(region: string): ReportedCounts | undefined {
    const watched = this.#watched.get(region);
    if (watched?.report === undefined || watched.isSilent) return undefined;
    return { registered: watched.report.servers.length, healthy: healthyServers(watched.report) };
  }

  /** What an engine should know of a region with a manager; undefined where it has lost its word. */
  site(region: string): ReportedRegion | undefined {
    const counts = this.counts(region);
    const measured = this.measured(region);
    if (counts === undefined || measured === undefined) return undefined;
    return { ...counts, capacity: this.report(region)?.capacity ?? 0, measured };
  }

  /** What a manager has announced of its region as a whole. */
  standing(region: string): Standing | undefined {
    const report = this.#watched.get(region)?.report;
    if (report === undefined) return undefined;
    if (report.draining) return 'draining';
    // One that has just started again has no servers until their next renewal: nothing can be sent to it.
    return report.servers.length === 0 ? 'unhealthy' : undefined;
  }

  /** A manager looks after the region. */
  has(region: string): boolean {
    return this.#watched.has(region);
  }

  /** Last report that was taken. */
  report(region: string): RegionReport | undefined {
    return this.#watched.get(region)?.report;
  }

  /** The same with what was measured since: loads and telemetry are of this, all else is of the report. */
  measured(region: string): RegionReport | undefined {
    return this.#watched.get(region)?.measured;
  }

  close(): void {
    for (const { client } of this.#watched.values()) client.close();
    this.#watched.clear();
  }

  /** @returns whether the report is in force now. */
  #take(id: string, report: RegionReport | undefined): boolean {
    const watched = this.#watched.get(id);
    if (watched === undefined) return false;
    watched.isSilent = report === undefined;
    if (report === undefined) {
      if (watched.report !== undefined) this.#tools.onSuspect(watched.report.dataUrl);
    } else {
      const problem = this.#judge(watched, report);
      if (problem !== undefined) {
        this.#tools.log.error({ region: id, problem }, 'report refused, the one before stays');
        return false;
      }
      watched.report = report;
      watched.measured = report;
    }
    this.#tools.onChange();
    return true;
  }

  /** Takes the policy over, or says why the report cannot be taken: half a lock is none. */
  #judge(watched: Watched, { region, dataUrl, policies }: RegionReport): string | undefined {
    if (isOwnAddress(dataUrl, this.#tools.addresses(), this.#tools.localHosts())) {
      return `dataUrl: must be the manager's, ${dataUrl} is this proxy's own`;
    }
    if (policies === undefined) {
      watched.policy = undefined;
      return undefined;
    }
    const parsed = policyDocument.safeParse(policies);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      return `policies.${issue.path.join('.')}: ${issue.message}`;
    }
    try {
      // Compiled here first: an expression that does not compile would end a worker.
      new RegionalPolicies([parsed.data], [region]);
    } catch (error) {
      return `policies: ${(error as Error).message}`;
    }
    watched.policy = parsed.data;
    return undefined;
  }
}

function keyOf({ healthCheckInterval }: Config, region: Config['regions'][number]): string {
  return JSON.stringify([region.rem, region.remToken ?? '', healthCheckInterval]);
}
