// Starts real `foreshard proxy` processes for stories and byte-level tests: a configuration object becomes a
// file in a folder of its own, ports are chosen by the system, and everything is ended with the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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
  /** Folder of an earlier proxy: same configuration file and state. */
  readonly folder?: string;
  readonly args?: readonly string[];
}

// Far more than a start takes; a machine with many at work is slow.
const START_MS = 45_000;
const ROOT = join(import.meta.dirname, '..', '..');

/** A minimal configuration around `parts`: free ports, one worker, quiet. */
export function proxyConfig(parts: Record<string, unknown>): Record<string, unknown> {
  return {
    listen: [{ address: '127.0.0.1:0' }],
    control: { address: '127.0.0.1:0' },
    workers: 1,
    shutdown: { grace: '5s' },
    ...parts,
  };
}

/** Starts a proxy and resolves when it serves. */
export async function startProxy(t: Test, config: object, options: StartOptions = {}): Promise<RunningProxy> {
  const folder = options.folder ?? t.testdir({ data: {} });
  const configPath = join(folder, 'proxy.yaml');
  const writeConfig = (next: object): void =>
    writeFileSync(configPath, stringify({ state: { path: join(folder, 'data') }, ...next }));
  writeConfig(config);
  const child = spawn(
    process.execPath,
    [
      `--import=${join(import.meta.dirname, 'end-with-parent.ts')}`,
      join(ROOT, 'src/main.js'),
      'proxy',
      '--config',
      configPath,
      ...(options.args ?? []),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
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
