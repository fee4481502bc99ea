// The rig of http-rules.md, "Figures to hold": regions of servers that are processes of their own, which a
// story can kill, stop, restart on the same port, and ask which ids they have seen.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Behaviour, ORDINARY, type StoryServerStart } from './story-server.ts';

export interface FleetOptions {
  /** Region ids; three unless given. */
  readonly regions?: readonly string[];
  /** Servers in each; two unless given. */
  readonly servers?: number;
}

/** A request that a server has read. */
export interface Arrival {
  readonly method: string;
  readonly id: string;
  readonly isAnswered: boolean;
}

const PROGRAM = join(import.meta.dirname, 'story-server.ts');

export class FleetServer {
  readonly name: string;
  readonly region: string;
  readonly #logPath: string;
  #behaviour: Behaviour = ORDINARY;
  #child: ChildProcess | undefined;
  #port = 0;

  constructor(name: string, region: string, folder: string) {
    this.name = name;
    this.region = region;
    this.#logPath = join(folder, `${name}.log`);
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Starts it; after the first time on the port that it had. */
  async start(): Promise<void> {
    const start: StoryServerStart = {
      name: this.name,
      port: this.#port,
      logPath: this.#logPath,
      behaviour: this.#behaviour,
    };
    const child = fork(PROGRAM, {
      env: { ...process.env, NODE_OPTIONS: '', STORY_SERVER: JSON.stringify(start) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child = child;
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    this.#port = port;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Sends the signal and resolves when the process has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning) return;
    const child = this.#child!;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Changes how it behaves; resolves when it does. */
  async behave(change: Partial<Behaviour>): Promise<void> {
    this.#behaviour = { ...this.#behaviour, ...change };
    const changed = once(this.#child!, 'message');
    this.#child!.send(change);
    await changed;
  }

  /** Runs, as it was made. */
  async reset(): Promise<void> {
    this.#behaviour = ORDINARY;
    if (this.isRunning) await this.behave(ORDINARY);
    else await this.start();
  }

  /** All it has read so far, killed or not. */
  arrivals(): Arrival[] {
    const came: { method: string; id: string }[] = [];
    const answered = new Set<string>();
    for (const line of readFileSync(this.#logPath, 'utf8').split('\n')) {
      const [what, ...rest] = line.split(' ');
      if (what === 'came') came.push({ method: rest[0]!, id: rest[1]! });
      else if (what === 'answered') answered.add(rest[0]!);
    }
    return came.map((one) => ({ ...one, isAnswered: answered.has(one.id) }));
  }
}

export interface Fleet {
  readonly servers: readonly FleetServer[];
  /** As `regions:` of a configuration. */
  readonly regions: readonly { readonly id: string; readonly servers: readonly string[] }[];
  of(region: string): readonly FleetServer[];
  /** All servers run and behave again; to be called at the beginning of a story. */
  reset(): Promise<void>;
  /** How often each id has been read by any server. */
  timesSeen(): Map<string, number>;
}

export async function startFleet(t: Test, options: FleetOptions = {}): Promise<Fleet> {
  const { regions = ['ap', 'eu', 'us'], servers: count = 2 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-fleet-'));
  const servers = regions.flatMap((region) =>
    Array.from({ length: count }, (_, i) => new FleetServer(`${region}-${i + 1}`, region, folder)),
  );
  t.teardown(async () => {
    await Promise.all(servers.map((server) => server.end('SIGKILL')));
    rmSync(folder, { recursive: true, force: true });
  });
  await Promise.all(servers.map((server) => server.start()));
  const of = (region: string): FleetServer[] => servers.filter((server) => server.region === region);
  return {
    servers,
    regions: regions.map((id) => ({ id, servers: of(id).map(({ url }) => url) })),
    of,
    reset: async () => {
      await Promise.all(servers.map((server) => server.reset()));
    },
    timesSeen: () => {
      const times = new Map<string, number>();
      for (const { id } of servers.flatMap((server) => server.arrivals()))
        times.set(id, (times.get(id) ?? 0) + 1);
      return times;
    },
  };
}
