// `foreshard pae`: an engine of its own, served on pae.listen. Start-up fails with a sentence; afterwards
// nothing that a source, a client or the disk does ends the process.

import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { splitAddress } from '../config/quantities.ts';
import type { Config } from '../config/schema.ts';
import type { EngineAnswer, EnginePort } from '../control/engine-port.ts';
import { paeRoutes } from '../control/pae-routes.ts';
import { ControlServer } from '../control/server.ts';
import type { OverrideSource, PlanSource, ProcessSource } from '../control/source.ts';
import { systemClock } from '../core/clock.ts';
import type { Plan } from '../plan/plan.ts';
import { INTERVALS_PER_POLL } from '../plan/plan-exchange.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { ControlDesk } from './control-desk.ts';
import { EngineHost } from './engine-host.ts';
import { modelled } from './modelled.ts';
import { PlanPolls } from './plan-polls.ts';

/** The engine's own folder below state.path: a proxy may hold the lock of the one above. */
export const engineFolder = (config: Config): string => join(resolve(config.state.path), 'pae');

const STARTS_ANEW = 'the engine starts anew; try again in a moment';
const NOT_THERE: EngineAnswer = { status: 503, body: STARTS_ANEW };
// How often is looked whether what an operator has said is over.
const EXPIRE_MS = 1000;

export class PaeProcess {
  readonly log: Logger;
  readonly #metrics = new MetricsRegistry();
  readonly #polls = new PlanPolls();
  readonly #server: ControlServer;
  /** What operators say of regions here; it goes into the plan. */
  readonly #desk: ControlDesk;
  readonly #expiry: NodeJS.Timeout;
  #config: Config;
  #address = '';
  /** undefined while a reload exchanges it. */
  #host: EngineHost | undefined;
  #plan: Plan | undefined;
  #evaluatedAt = systemClock.monotonicMs();
  #generation = 1;
  /** Reloads and the stop, one after the other. */
  #tail: Promise<unknown> = Promise.resolve();

  /** Rejects with an Error whose message is for the operator. */
  static async start(written: Config): Promise<PaeProcess> {
    const desk = await ControlDesk.open(engineFolder(written), systemClock);
    const config = desk.effective(written);
    if (typeof config === 'string') throw new Error(config);
    desk.written = written;
    const pae = new PaeProcess(config, desk);
    try {
      pae.#host = await pae.#startHost(config);
      await pae.#listen();
    } catch (error) {
      await pae.stop();
      throw error;
    }
    return pae;
  }

  private constructor(config: Config, desk: ControlDesk) {
    this.#config = config;
    this.#desk = desk;
    desk.apply = (written) => this.#override(written);
    this.#expiry = setInterval(() => void desk.expire(), EXPIRE_MS);
    this.log = createLogger({ level: config.log.level, thread: 'main' });
    const source: ProcessSource & PlanSource & OverrideSource = {
      metrics: this.#metrics,
      notReady: () => undefined,
      refreshMetrics: async () => {},
      plan: () => stamped(this.#host?.shards.plan ?? this.#plan),
      planAgeMs: () => systemClock.monotonicMs() - this.#evaluatedAt,
      planAfter: (waitMs) => this.#polls.next(waitMs),
      longestWaitMs: () => INTERVALS_PER_POLL * this.#config.paeUpdateInterval,
      desk,
      overrideScope: () => 'plan',
      now: () => systemClock.wallMs(),
    };
    const engine: EnginePort = { ask: async (ask) => this.#host?.ask(ask) ?? NOT_THERE };
    this.#server = new ControlServer(paeRoutes(source, engine), {
      token: () => this.#config.pae.token,
      log: this.log,
    });
  }

  /** `http://host:port` that is served. */
  get address(): string {
    return this.#address;
  }

  /**
   * Takes a new configuration over. What models belong to (regions, steps, sources) starts the engine anew, with its
   * past; anything else is followed where it runs. Resolves to a sentence when the configuration in force stays.
   */
  reload(config: Config): Promise<string | undefined> {
    const turn = this.#tail.then(() => this.#reload(config));
    this.#tail = turn;
    return turn;
  }

  configRejected(problems: readonly string[]): void {
    this.#desk.refuseReload(problems);
    this.#metrics.add('foreshard_config_rejected_total', [], 1);
  }

  async stop(): Promise<void> {
    clearInterval(this.#expiry);
    await this.#tail;
    this.#polls.close();
    await this.#server.close();
    await this.#desk.close();
    await this.#host?.stop();
    this.log.info({}, 'stopped');
    await this.log.flush();
  }

  /** Another word of an operator: weights alone, which the engine follows where it runs. */
  #override(written: Config): string | undefined {
    const config = this.#desk.effective(written);
    if (typeof config === 'string') return config;
    if (this.#host === undefined) return STARTS_ANEW;
    this.#host.shards.reload(config);
    this.#config = config;
    return undefined;
  }

  async #reload(written: Config): Promise<string | undefined> {
    const config = this.#desk.effective(written);
    if (typeof config === 'string') return config;
    const before = this.#config;
    if (isDeepStrictEqual(modelled(before), modelled(config))) {
      this.#host?.shards.reload(config);
    } else {
      const problem = await this.#exchange(before, config);
      if (problem !== undefined) return problem;
    }
    this.#desk.written = written;
    this.#config = config;
    this.log.setLevel(config.log.level);
    this.#generation += 1;
    this.#metrics.set('foreshard_config_generation', [], this.#generation);
    this.log.info({ generation: this.#generation }, 'configuration applied');
    return undefined;
  }

  /** One engine has the folder at a time: the old one writes what it knows before the new one reads it. */
  async #exchange(before: Config, after: Config): Promise<string | undefined> {
    const old = this.#host;
    this.#plan = old?.shards.plan ?? this.#plan;
    this.#host = undefined;
    await old?.stop();
    try {
      this.#host = await this.#startHost(after);
      return undefined;
    } catch (error) {
      const problem = `the engine did not start with it: ${(error as Error).message}`;
      try {
        this.#host = await this.#startHost(before);
      } catch (again) {
        return `${problem}; nor with the one before: ${(again as Error).message}`;
      }
      return problem;
    }
  }

  #startHost(config: Config): Promise<EngineHost> {
    return EngineHost.start({
      config,
      folder: engineFolder(config),
      log: this.log,
      needsHistory: true,
      onMetrics: (deltas) => this.#metrics.apply(deltas),
      onPlan: (plan, isNew) => {
        this.#evaluatedAt = systemClock.monotonicMs();
        this.#metrics.set('foreshard_plan_generation', [], plan.generation);
        if (isNew) this.#polls.wake();
      },
    });
  }

  async #listen(): Promise<void> {
    const { listen, mode } = this.#config.pae;
    try {
      this.#address = `http://${await this.#server.listen(splitAddress(listen)!)}`;
    } catch (error) {
      throw new Error(`cannot open pae.listen ${listen}: ${(error as Error).message}`);
    }
    this.#metrics.set('foreshard_config_generation', [], this.#generation);
    this.log.info({ addresses: [this.#address], pid: process.pid, mode }, 'listening');
    void this.log.flush();
  }
}

/** Proxies anchor a plan's instants at its `now`, which is the moment of the answer. */
function stamped(plan: Plan | undefined): Plan | undefined {
  return plan === undefined ? undefined : { ...plan, now: new Date(systemClock.wallMs()).toISOString() };
}
