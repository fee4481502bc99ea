// `foreshard pae`: an engine of its own, served on pae.listen. Start-up fails with a sentence; afterwards
// nothing that a source, a client or the disk does ends the process.

import { join, resolve } from 'node:path';
import { splitAddress } from '../config/quantities.ts';
import type { Config } from '../config/schema.ts';
import { paeRoutes } from '../control/pae-routes.ts';
import { ControlServer } from '../control/server.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { MetricsRegistry } from '../telemetry/registry.ts';
import { EngineHost } from './engine-host.ts';

/** The engine's own folder below state.path: a proxy may hold the lock of the one above. */
export const engineFolder = (config: Config): string => join(resolve(config.state.path), 'pae');

export class PaeProcess {
  readonly log: Logger;
  /** `http://host:port` that is served. */
  readonly address: string;
  readonly #host: EngineHost;
  readonly #server: ControlServer;

  /** Rejects with an Error whose message is for the operator. */
  static async start(config: Config): Promise<PaeProcess> {
    const log = createLogger({ level: config.log.level, thread: 'main' });
    const metrics = new MetricsRegistry();
    const host = await EngineHost.start({
      config,
      folder: engineFolder(config),
      log,
      needsHistory: true,
      onMetrics: (deltas) => metrics.apply(deltas),
    });
    const { token, listen } = config.pae;
    const source = { metrics, notReady: () => undefined, refreshMetrics: async () => {} };
    const server = new ControlServer(paeRoutes(source, host), { token: () => token, log });
    try {
      const address = `http://${await server.listen(splitAddress(listen)!)}`;
      log.info({ addresses: [address], pid: process.pid, mode: config.pae.mode }, 'listening');
      void log.flush();
      return new PaeProcess(log, address, host, server);
    } catch (error) {
      await host.stop();
      throw new Error(`cannot open pae.listen ${listen}: ${(error as Error).message}`);
    }
  }

  private constructor(log: Logger, address: string, host: EngineHost, server: ControlServer) {
    this.log = log;
    this.address = address;
    this.#host = host;
    this.#server = server;
  }

  async stop(): Promise<void> {
    await this.#server.close();
    await this.#host.stop();
    this.log.info({}, 'stopped');
    await this.log.flush();
  }
}
