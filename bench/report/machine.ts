// Says where and from what a figure comes: machine, kernel, Node, commit. Every result file of bench/
// carries it, because a figure without its machine compares with nothing.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  /** CPU model as the kernel names it. */
  readonly cpu: string;
  /** Cores this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** One-minute load average when the description was made. */
  readonly loadAverage: number;
}

export interface Commit {
  /** Full hash; `unknown` outside a git checkout. */
  readonly hash: string;
  /** True when tracked files differ from the commit: the figures then belong to no commit. */
  readonly modified: boolean;
}

const PROJECT_ROOT = join(import.meta.dirname, '..', '..');

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${process.platform} ${release()} ${process.arch}`,
    node: process.versions.node,
    loadAverage: loadavg()[0] ?? 0,
  };
}

export function describeCommit(): Commit {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', PROJECT_ROOT, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  try {
    const hash = git('rev-parse', 'HEAD').trim();
    return { hash, modified: git('status', '--porcelain', '--untracked-files=no').trim() !== '' };
  } catch {
    return { hash: 'unknown', modified: false };
  }
}

/** `version` of the package.json in a folder of this project; '' is the project's own. */
export function packageVersion(folder: string): string {
  const text = readFileSync(join(PROJECT_ROOT, folder, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** One line for the head of a table or a page. */
export function formatOrigin(machine: Machine, commit: Commit): string {
  const gib = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  const from =
    commit.hash === 'unknown' ? 'no commit' : commit.hash.slice(0, 12) + (commit.modified ? '+' : '');
  return `${machine.cpu}, ${machine.cores} cores, ${gib} GiB, ${machine.kernel}, Node ${machine.node}, commit ${from}`;
}
