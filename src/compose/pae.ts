// `foreshard pae`: an engine of its own, served on pae.listen. Start-up fails with a sentence; afterwards
// nothing that a source, a client or the disk does ends the process.

import { join, resolve } from 'node:path';
import { withFilePolicies } from '../config/apply-policies.ts';
import { splitAddress } from '../config/quantities.ts';
import type { Config } from '../config/schema.ts';
import { paeRoutes } from '../control/pae-routes.ts';
import { ControlServer } from '../control/server.ts';
import type { PlanSource, ProcessSource } from '../control/source.ts';
import { systemClock } from '../core/clock.ts';
import type { Plan } from '../plan/plan.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { EngineHost } from './engine-host.ts';
import { PlanPolls } from './plan-polls.ts';

/** The engine's own folder below state.path: a proxy may hold the lock of the one above. */
export const engineFolder = (config: Config): string => join(resolve(config.state.path), 'pae');

// Contract: a poll waits at most four intervals.
const INTERVALS_PER_POLL = 4;

interface PaeParts {
  readonly host: EngineHost;
  readonly server: ControlServer;
  readonly polls: PlanPolls;
}

export class PaeProcess {
  readonly log: Logger;
  /** `http://host:port` that is served. */
  readonly address: string;
  readonly #host: EngineHost;
  readonly #server: ControlServer;
  readonly #polls: PlanPolls;

  /** Rejects with an Error whose message is for the operator. */
  static async start(written: Config): Promise<PaeProcess> {
    const config = withFilePolicies(written);
    const log = createLogger({ level: config.log.level, thread: 'main' });
    const metrics = new MetricsRegistry();
    const polls = new PlanPolls();
    let evaluatedAt = systemClock.monotonicMs();
    const host = await EngineHost.start({
      config,
      folder: engineFolder(config),
      log,
      needsHistory: true,
      onMetrics: (deltas) => metrics.apply(deltas),
      onPlan: (plan, isNew) => {
        evaluatedAt = systemClock.monotonicMs();
        metrics.set('foreshard_plan_generation', [], plan.generation);
        if (isNew) polls.wake();
      },
    });
    const { token, listen } = config.pae;
    const source: ProcessSource & PlanSource = {
      metrics,
      notReady: () => undefined,
      refreshMetrics: async () => {},
      plan: () => stamped(host.shards.plan),
      planAgeMs: () => systemClock.monotonicMs() - evaluatedAt,
      planAfter: (waitMs) => polls.next(waitMs),
      longestWaitMs: () => INTERVALS_PER_POLL * config.paeUpdateInterval,
    };
    const server = new ControlServer(paeRoutes(source, host), { token: () => token, log });
    try {
      const address = `http://${await server.listen(splitAddress(listen)!)}`;
      log.info({ addresses: [address], pid: process.pid, mode: config.pae.mode }, 'listening');
      void log.flush();
      return new PaeProcess(log, address, { host, server, polls });
    } catch (error) {
      await host.stop();
      throw new Error(`cannot open pae.listen ${listen}: ${(error as Error).message}`);
    }
  }

  private constructor(log: Logger, address: string, { host, server, polls }: PaeParts) {
    this.log = log;
    this.address = address;
    this.#host = host;
    this.#server = server;
    this.#polls = polls;
  }

  async stop(): Promise<void> {
    this.#polls.close();
    await this.#server.close();
    await this.#host.stop();
    this.log.info({}, 'stopped');
    await this.log.flush();
  }
}

/** Proxies anchor a plan's instants at its `now`, which is the moment of the answer. */
function stamped(plan: Plan | undefined): Plan | undefined {
  return plan === undefined ? undefined : { ...plan, now: new Date(systemClock.wallMs()).toISOString() };
}
