// Brings up what a bench stands on: an origin and one proxy before it, in a temporary folder that is
// removed with them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { type RunningProcess, removeAtExit, startProcess } from './child-process.ts';
import { freePorts } from './free-port.ts';
import type { Job, ProxyDefinition, ProxyLaunch } from './proxies/definition.ts';
import { nginxOriginLaunch, nginxPresence } from './proxies/nginx.ts';

/** A proxy that is not ready by then will not be: Caddy and Node need under one second of a free core. */
const READY_LIMIT_MS = 60_000;
const READY_POLL_MS = 25;
/** Another process may take a free port before the proxy binds it. */
const START_ATTEMPTS = 2;

export interface Origin {
  readonly title: string;
  /** On 127.0.0.1; all serve the same. */
  readonly ports: readonly number[];
  readonly process: RunningProcess;
}

export interface RunningProxy {
  readonly url: string;
  readonly process: RunningProcess;
  stop(): Promise<void>;
}

export type StartOutcome =
  | { readonly kind: 'started'; readonly proxy: RunningProxy }
  | { readonly kind: 'failed'; readonly why: string };

export interface StartOptions {
  readonly origins: readonly number[];
  readonly workers: number;
  readonly job: Job;
  /** Folder of the whole run; the proxy gets one of its own inside. */
  readonly folder: string;
  readonly clock: Clock;
}

/** Removed at the end of the process, however it ends. */
export function makeRunFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-'));
  removeAtExit(folder);
  return folder;
}

/** nginx, or Node's where nginx is missing. Throws when neither starts: then there is nothing to measure. */
export async function startOrigin(options: {
  readonly ports: number;
  readonly workers: number;
  readonly folder: string;
  readonly clock: Clock;
}): Promise<Origin> {
  const ports = await freePorts(options.ports);
  const presence = await nginxPresence();
  const folder = join(options.folder, 'origin');
  mkdirSync(folder);
  const launch =
    presence.kind === 'present'
      ? nginxOriginLaunch(ports, options.workers, folder)
      : nodeOriginLaunch(ports, options.workers);
  const title = presence.kind === 'present' ? `nginx ${presence.version}` : `Node ${process.versions.node}`;
  const outcome = await launchAndWait(launch, folder, options.clock);
  if (outcome.kind === 'failed') throw new Error(`the origin (${title}) did not start: ${outcome.why}`);
  return { title, ports, process: outcome.process };
}

function nodeOriginLaunch(ports: readonly number[], workers: number): ProxyLaunch {
  const program = new URL('./origin-node.ts', import.meta.url).pathname;
  return {
    files: [],
    command: { command: process.execPath, args: [program, JSON.stringify({ ports, workers })] },
    readyUrl: `http://127.0.0.1:${ports[0]}/healthz`,
  };
}

let started = 0;

export async function startProxy(definition: ProxyDefinition, options: StartOptions): Promise<StartOutcome> {
  let why = '';
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    started += 1;
    const folder = join(options.folder, `${started}-${definition.id}`);
    mkdirSync(folder);
    const [port = 0, controlPort = 0] = await freePorts(2);
    const { origins, workers, job } = options;
    const launch = definition.launch({ port, controlPort, origins, workers, job, folder });
    const outcome = await launchAndWait(launch, folder, options.clock);
    if (outcome.kind === 'started') {
      const stop = async (): Promise<void> => {
        await outcome.process.stop();
        rmSync(folder, { recursive: true, force: true });
      };
      return { kind: 'started', proxy: { url: `http://127.0.0.1:${port}`, process: outcome.process, stop } };
    }
    why = outcome.why;
  }
  return { kind: 'failed', why };
}

export type LaunchOutcome =
  | { readonly kind: 'started'; readonly process: RunningProcess }
  | { readonly kind: 'failed'; readonly why: string };

export async function launchAndWait(
  launch: ProxyLaunch,
  folder: string,
  clock: Clock,
): Promise<LaunchOutcome> {
  for (const file of launch.files) writeFileSync(join(folder, file.name), file.text);
  const process = startProcess(launch.command);
  const deadline = clock.monotonicMs() + READY_LIMIT_MS;
  while (clock.monotonicMs() < deadline && !process.hasExited()) {
    if ((await statusOf(launch.readyUrl)) === 200) return { kind: 'started', process };
    await sleep(READY_POLL_MS);
  }
  const state = process.hasExited() ? 'it ended' : `not ready after ${READY_LIMIT_MS} ms`;
  await process.stop();
  return { kind: 'failed', why: `${state}: ${lastLines(process.output())}` };
}

/** Status of a GET; null when nothing answers. */
async function statusOf(url: string): Promise<number | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return null;
  }
}

function lastLines(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-3).join(' | ').slice(-600) || 'it said nothing';
}
