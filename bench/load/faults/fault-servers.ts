// The bench's side of fault-origin.ts: starts it, changes its servers, reads what they saw.

import type { Clock } from '../../../src/core/clock.ts';
import type { RunningProcess } from '../child-process.ts';
import { freePorts } from '../free-port.ts';
import { launchAndWait } from '../rig.ts';

export interface ServerStats {
  readonly inFlight: number;
  readonly peak: number;
  readonly served: number;
}

export interface Speed {
  /** Milliseconds a request takes in its place. */
  readonly delay: number;
  /** Requests served at once; undefined = as many as come. */
  readonly places?: number;
}

export class FaultServers {
  readonly ports: readonly number[];
  readonly process: RunningProcess;
  readonly #controlPort: number;

  private constructor(ports: readonly number[], controlPort: number, process: RunningProcess) {
    this.ports = ports;
    this.process = process;
    this.#controlPort = controlPort;
  }

  /** Throws when they do not start. */
  static async start(count: number, folder: string, clock: Clock): Promise<FaultServers> {
    const [controlPort = 0, ...ports] = await freePorts(count + 1);
    const program = new URL('./fault-origin.ts', import.meta.url).pathname;
    const args = [program, JSON.stringify({ ports, controlPort })];
    const readyUrl = `http://127.0.0.1:${controlPort}/stats`;
    const launch = { files: [], command: { command: process.execPath, args }, readyUrl };
    const outcome = await launchAndWait(launch, folder, clock);
    if (outcome.kind === 'failed') throw new Error(`the servers did not start: ${outcome.why}`);
    return new FaultServers(ports, controlPort, outcome.process);
  }

  /** Changes one server; its peak counts anew. */
  async set(server: number, { delay, places }: Speed): Promise<void> {
    const limit = places === undefined ? '' : `&places=${places}`;
    await this.#ask(`/set?server=${server}&delay=${delay}${limit}`);
  }

  async setAll(speed: Speed): Promise<void> {
    for (let i = 0; i < this.ports.length; i++) await this.set(i, speed);
  }

  async stats(): Promise<readonly ServerStats[]> {
    return (await this.#ask('/stats')) as readonly ServerStats[];
  }

  stop(): Promise<void> {
    return this.process.stop();
  }

  async #ask(path: string): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.#controlPort}${path}`);
    return response.json();
  }
}
