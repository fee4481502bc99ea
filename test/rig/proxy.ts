// Starts real `foreshard proxy` processes for stories and byte-level tests: a configuration object becomes a
// file in a folder of its own, ports are chosen by the system, and everything is ended with the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';

export interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

export interface RunningProxy {
  /** `http://127.0.0.1:port` of the first listener. */
  readonly url: string;
  readonly port: number;
  /** Empty while another process has the control port. */
  readonly controlUrl: string;
  readonly child: ChildProcess;
  readonly folder: string;
  readonly configPath: string;
  readonly log: readonly LogLine[];
  /** Standard error so far. */
  readonly errors: () => string;
  /** Resolves with the first matching line, old or new; rejects after `ms`. */
  waitForLog(matches: (line: LogLine) => boolean, ms?: number): Promise<LogLine>;
  writeConfig(config: object): void;
  /** Sends the signal and resolves with exit code and signal. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface StartOptions {
  /** Folder of an earlier proxy, for the same state; with a configuration of `{}` its file stays as it is. */
  readonly folder?: string;
  readonly args?: readonly string[];
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the proxy, as `prlimit --nofile=100`. */
  readonly under?: readonly string[];
  /** An engine of its own instead: `url` is its pae.listen. A manager: it has no state. */
  readonly command?: 'proxy' | 'pae' | 'rem';
}

// A start takes a second; on a machine that runs everything else at the same time it may take many.
const START_MS = 60_000;
const END_WITH_PARENT = `--import=${join(import.meta.dirname, 'end-with-parent.ts')}`;
const ROOT = join(import.meta.dirname, '..', '..');

/** A minimal configuration around `parts`: free ports, one worker, quiet, no engine. */
export function proxyConfig(parts: Record<string, unknown>): Record<string, unknown> {
  return {
    listen: [{ address: '127.0.0.1:0' }],
    control: { address: '127.0.0.1:0' },
    workers: 1,
    shutdown: { grace: '5s' },
    pae: { mode: 'off' },
    ...parts,
  };
}

const started = new WeakSet<Test>();

/** Of a test's second proxy another one: `testdir` would empty the first one's under it. */
function freshFolder(t: Test): string {
  if (!started.has(t)) {
    started.add(t);
    return t.testdir({ data: {} });
  }
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-'));
  mkdirSync(join(folder, 'data'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** Starts a proxy and resolves when it serves. */
export async function startProxy(t: Test, config: object, options: StartOptions = {}): Promise<RunningProxy> {
  const folder = options.folder ?? freshFolder(t);
  const configPath = join(folder, 'proxy.yaml');
  const writeConfig = (next: object): void => {
    // Renamed into place, so that nobody reads half of it.
    const state = options.command === 'rem' ? {} : { state: { path: join(folder, 'data') } };
    writeFileSync(`${configPath}.new`, stringify({ ...state, ...next }));
    renameSync(`${configPath}.new`, configPath);
  };
  if (options.folder === undefined || Object.keys(config).length > 0) writeConfig(config);
  const main = [
    process.execPath,
    END_WITH_PARENT,
    join(ROOT, 'src/main.js'),
    options.command ?? 'proxy',
    '--config',
    configPath,
  ];
  const [command, ...args] = [...(options.under ?? []), ...main, ...(options.args ?? [])];
  const child = spawn(command!, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const log: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  readLines(child.stdout!, (text) => {
    const line = parseLine(text);
    if (line === undefined) return;
    log.push(line);
    for (const waiter of waiting) waiter(line);
  });
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });

  const waitForLog = (matches: (line: LogLine) => boolean, ms = START_MS): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const known = log.find(matches);
      if (known !== undefined) return resolve(known);
      const finish = (line: LogLine): void => {
        if (!matches(line)) return;
        stopWaiting();
        resolve(line);
      };
      const stopWaiting = (): void => {
        clearTimeout(timer);
        waiting.delete(finish);
      };
      const timer = setTimeout(() => {
        stopWaiting();
        reject(new Error(`no such log line within ${ms} ms; standard error: ${errors}`));
      }, ms);
      waiting.add(finish);
      void exited.then(({ code }) => {
        stopWaiting();
        reject(new Error(`the proxy ended with ${code}: ${errors}`));
      });
    });

  const started = await waitForLog((line) => line.msg === 'listening');
  const url = (started.addresses as string[])[0]!;
  return {
    url,
    port: Number(new URL(url).port),
    controlUrl: (started.control as string | undefined) ?? '',
    child,
    folder,
    configPath,
    log,
    errors: () => errors,
    waitForLog,
    writeConfig,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}

/** Runs `foreshard` with these arguments until it ends by itself. */
export function runToEnd(args: readonly string[]): Promise<{ code: number | null; errors: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'src/main.js'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, errors });
    });
  });
}

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) onLine(line);
  });
}

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}
