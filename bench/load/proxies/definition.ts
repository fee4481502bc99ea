// What a proxy is to the bench: how to see whether it is there, and how to start it for a job. Launches
// are data, made by pure functions: tests read the configuration that a rival gets, and whoever doubts
// that it is its best can read it too.

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../child-process.ts';

/**
 * plain: forward to one origin. sharded: choose one of several origins by consistent hashing of the
 * key header, which is what Foreshard does for every request.
 */
export type Job = 'plain' | 'sharded';

export interface ProxySetup {
  /** Port for clients, free on 127.0.0.1. */
  readonly port: number;
  /** A second free port, for proxies with an API of their own. */
  readonly controlPort: number;
  /** Ports of the origins on 127.0.0.1; one for a plain job. */
  readonly origins: readonly number[];
  /** Threads or processes that may carry traffic. */
  readonly workers: number;
  readonly job: Job;
  /** Absolute path of an empty folder of its own. */
  readonly folder: string;
}

export interface ProxyLaunch {
  /** Written to the folder before the start. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly command: Command;
  /** Answers 200 when the proxy may be given load. */
  readonly readyUrl: string;
}

export type Presence =
  | { readonly kind: 'present'; readonly version: string }
  | { readonly kind: 'absent'; readonly why: string };

export interface ProxyDefinition {
  /** As given to --only; Foreshard's variants are `foreshard-no-log` and so on. */
  readonly id: string;
  /** A reference is no product: it shows what part of the work costs what, and is not sharded. */
  readonly kind: 'product' | 'reference';
  presence(): Promise<Presence>;
  launch(setup: ProxySetup): ProxyLaunch;
}

/** Header that carries the shard key in every bench. */
export const KEY_HEADER = 'x-user-id';

/** Clients that idle longer than this may lose their connection; the idle bench stays below it. */
export const KEEP_ALIVE_SECONDS = 120;

/** Client connections that every proxy is configured for: 10,000 idle ones and room. */
export const MAX_CONNECTIONS = 12_000;

/** Daemons live in sbin, which is not in every user's PATH. */
const EXTRA_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** Absolute path of a program, or null. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(':'), ...EXTRA_FOLDERS].filter(
    (folder) => folder !== '',
  );
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here: the next folder.
    }
  }
  return null;
}
