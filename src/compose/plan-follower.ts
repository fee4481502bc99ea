// Serves by what an engine says: offers come in, are judged, and are put in force by the publisher; how long the
// engine has been silent decides when the plan is stale. Refused plans are counted and told once; the last good
// one stays.

import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Plan } from '../plan/plan.ts';
import { planTag } from '../plan/plan-exchange.ts';
import type { LiveCells } from '../state/live-cells.ts';
import { PlanIntake } from '../state/plan-intake.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import type { Interval } from './plan-spans.ts';
import { followsEngine, misfit } from './table-requests.ts';

export interface FollowerTools {
  readonly clock: Clock;
  readonly cells: LiveCells;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
  /** In force, with what managers report put in. */
  config(): Config;
  /** Puts a plan in force. */
  adopt(plan: Plan): void;
  /** How long that took: from the offer over the judgement to what workers were told. */
  onTaken?(plan: Plan, steps: { readonly adopt: Interval; readonly publish: Interval }): void;
}

export class PlanFollower {
  readonly #tools: FollowerTools;
  readonly #intake: PlanIntake;
  #refused = '';
  #source = '';

  constructor(tools: FollowerTools) {
    this.#tools = tools;
    this.#intake = new PlanIntake(tools.clock.monotonicMs());
  }

  /** `incarnation.generation` of the last plan that was taken. */
  get known(): string | undefined {
    const { plan } = this.#intake;
    return plan === undefined ? undefined : planTag(plan);
  }

  /** Milliseconds since the plan in force was last said to be right; 0 where no engine makes it. */
  ageMs(): number {
    if (!followsEngine(this.#tools.config())) return 0;
    return Math.max(0, this.#intake.ageMs(this.#tools.clock.monotonicMs()));
  }

  offer(document: unknown, ageMs: number): void {
    const { metrics, log, clock, config, adopt, onTaken } = this.#tools;
    if (!followsEngine(config())) return;
    const startMs = clock.wallMs();
    const begunAt = clock.monotonicMs();
    const at = (): number => startMs + clock.monotonicMs() - begunAt;
    const verdict = this.#intake.offer(document, {
      misfit: (plan) => misfit(plan, config()),
      ageMs,
      now: clock.monotonicMs(),
    });
    switch (verdict.kind) {
      case 'known':
        return;
      case 'taken': {
        this.#refused = '';
        const judgedAt = at();
        adopt(verdict.plan);
        const publish = { startMs: judgedAt, endMs: at() };
        onTaken?.(verdict.plan, { adopt: { startMs, endMs: judgedAt }, publish });
        return;
      }
      case 'refused': {
        metrics.add('foreshard_plan_rejected_total', [verdict.reason], 1);
        const { problem } = verdict;
        if (problem !== this.#refused) log.error({ problem }, 'plan refused, the one in force stays');
        this.#refused = problem;
      }
    }
  }

  /** The engine says that the plan it gave stays. */
  renew(ageMs: number): void {
    this.#intake.renew(ageMs, this.#tools.clock.monotonicMs());
  }

  /** After a reload: another source's plans are not older than those of the one before. */
  reload(config: Config): void {
    const source = `${followsEngine(config)} ${config.pae.source}`;
    if (source !== this.#source) this.#intake.forget(this.#tools.clock.monotonicMs());
    this.#source = source;
  }

  /** Last reason for which a plan was refused, while none was taken since; empty = none. */
  get refusal(): string {
    return this.#refused;
  }

  /** To be called several times a ttl: publishes when the plan goes stale and when it is fresh again. */
  tick(): void {
    const { cells, clock, config, log } = this.#tools;
    const { pae } = config();
    const since = followsEngine(config())
      ? this.#intake.staleSince(pae.planTtl, clock.monotonicMs())
      : Number.POSITIVE_INFINITY;
    if (since === cells.staleSince) return;
    const wasStale = cells.staleSince !== Number.POSITIVE_INFINITY;
    cells.setStaleSince(since);
    cells.publish();
    if (since === Number.POSITIVE_INFINITY) log.info({}, 'the engine is heard of again');
    else if (!wasStale)
      log.error(
        { ttlMs: pae.planTtl, reason: 'plan_stale' },
        'the plan is stale, keys go back to base weights',
      );
  }
}
