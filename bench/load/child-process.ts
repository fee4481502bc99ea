// Starts the processes that a bench needs and ends them, whatever happens: on success, on failure, on
// SIGINT, and when the bench itself throws. Processes are ended by pid, never by name: the machine may
// run a real nginx beside ours.

import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessStat, readTreeUsage, type TreeUsage } from './proc-stat.ts';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface RunningProcess {
  readonly pid: number;
  /** The last output, for the message when something fails. */
  output(): string;
  hasExited(): boolean;
  usage(): TreeUsage | null;
  /** SIGTERM, then SIGKILL to the whole tree after a grace. Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Enough for a start-up error; a proxy that logs every request must not fill our memory. */
const OUTPUT_LIMIT = 8192;
/** A drain longer than this is of no interest to a bench, whose load has ended. */
const STOP_GRACE_MS = 3000;

/** A reason is one line of a table's notes. */
const REASON_LENGTH = 300;

const living = new Set<ChildProcess>();
const folders = new Set<string>();

/** Folders to remove at the end, on SIGINT too. */
export function removeAtExit(folder: string): void {
  folders.add(folder);
}

/**
 * Makes a signal end the children before us. Call once, at the start of a command. With `onInterrupt` the
 * first SIGINT calls it instead: a long command then reports what it has, and ends by itself.
 */
export function endChildrenOnSignals(onInterrupt?: () => void): void {
  process.once('exit', cleanUpNow);
  process.once('SIGTERM', () => process.exit(143));
  process.once('SIGHUP', () => process.exit(129));
  const exit = (): void => process.exit(130);
  process.once('SIGINT', () => {
    if (onInterrupt === undefined) exit();
    process.once('SIGINT', exit);
    onInterrupt?.();
  });
}

/** Synchronous, because nothing asynchronous runs in an exit handler. */
function cleanUpNow(): void {
  for (const child of living) killTree(child.pid!);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

function killTree(pid: number): void {
  for (const { pid: member } of readTreeUsage(pid)?.members ?? [{ pid }]) {
    try {
      process.kill(member, 'SIGKILL');
    } catch {
      // Already gone: what was wanted.
    }
  }
}

export function startProcess(command: Command): RunningProcess {
  const child = spawn(command.command, command.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_LIMIT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += `${command.command}: ${error.message}`;
      living.delete(child);
      resolve();
    });
    child.once('exit', () => {
      living.delete(child);
      resolve();
    });
  });
  const hasExited = (): boolean =>
    child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  if (child.pid !== undefined) living.add(child);
  const pid = child.pid ?? -1;
  return {
    pid,
    output: () => output.trim(),
    hasExited,
    usage: () => (hasExited() ? null : readTreeUsage(pid)),
    stop: async () => {
      if (hasExited()) return;
      const tree = readTreeUsage(pid)?.members ?? [];
      child.kill('SIGTERM');
      const gone = await Promise.race([exited.then(() => true), sleep(STOP_GRACE_MS, false, { ref: false })]);
      if (!gone) killTree(pid);
      await exited;
      // A worker that outlived its master (nginx after SIGKILL) has no parent to be found by: end what
      // was in the tree before.
      for (const member of tree) if (member.pid !== pid) killOrphan(member);
    },
  };
}

function killOrphan(before: ProcessStat): void {
  const now = readTreeUsage(before.pid)?.members.find((member) => member.pid === before.pid);
  // A pid may have been given to a stranger since: the start time tells.
  if (now !== undefined && now.startTicks === before.startTicks) killTree(before.pid);
}

export type RunOutcome =
  | { readonly kind: 'done'; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'failed'; readonly why: string; readonly stdout: string };

/** Runs a command to its end. A command that outlives the limit is killed and counts as failed. */
export async function runToEnd(command: Command, limitMs: number): Promise<RunOutcome> {
  const child = spawn(command.command, command.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
  });
  let [stdout, stderr, failure] = ['', '', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  if (child.pid !== undefined) living.add(child);
  const timer = setTimeout(() => {
    failure = `${command.command} was still running after ${limitMs} ms`;
    killTree(child.pid!);
  }, limitMs);
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      failure = `${command.command}: ${error.message}`;
      resolve(null);
    });
    child.once('close', resolve);
  });
  clearTimeout(timer);
  living.delete(child);
  if (failure !== '') return { kind: 'failed', why: failure, stdout };
  if (code !== 0) {
    const said = (stderr.trim() || stdout.trim()).replaceAll(/\s*\n\s*/g, ' | ');
    const name = basename(command.command);
    return { kind: 'failed', why: `${name} ended with ${code}: ${said.slice(0, REASON_LENGTH)}`, stdout };
  }
  return { kind: 'done', stdout, stderr };
}
