// CPU, memory, disk and network of the machine, for a manager's report: node:os everywhere, /proc where there
// is one. Shares of one. What cannot be known (the speed of a network card that does not tell) is left out
// rather than guessed.

import { readFileSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import type { Clock } from '../core/clock.ts';
import type { HostTelemetry } from './report.ts';

/** Counters at one moment; undefined where the machine has none. */
interface Counters {
  readonly at: number;
  readonly cpuBusyMs: number;
  readonly cpuTotalMs: number;
  readonly diskBusyMs: number | undefined;
  readonly networkBytes: number | undefined;
}

export interface HostReader {
  cpu(): { readonly busyMs: number; readonly totalMs: number };
  memory(): number | undefined;
  /** Milliseconds that the busiest disk has been busy. */
  diskBusyMs(): number | undefined;
  /** Bytes of all cards but loopback, and their speed in bytes/s. */
  network(): { readonly bytes: number; readonly bytesPerSecond: number } | undefined;
}

/** Shares since the last call; one per manager. */
export class HostMeter {
  readonly #reader: HostReader;
  readonly #clock: Clock;
  #before: Counters;

  constructor(clock: Clock, reader: HostReader = systemHost) {
    this.#clock = clock;
    this.#reader = reader;
    this.#before = this.#read();
  }

  measure(): HostTelemetry {
    const before = this.#before;
    const now = this.#read();
    const elapsed = now.at - before.at;
    if (elapsed <= 0) return {};
    this.#before = now;
    const cpuTotal = now.cpuTotalMs - before.cpuTotalMs;
    const memory = this.#reader.memory();
    const speed = this.#reader.network()?.bytesPerSecond ?? 0;
    return {
      ...(cpuTotal > 0 && { cpu: share((now.cpuBusyMs - before.cpuBusyMs) / cpuTotal) }),
      ...(memory !== undefined && { memory: share(memory) }),
      ...(now.diskBusyMs !== undefined &&
        before.diskBusyMs !== undefined && {
          disk_io: share((now.diskBusyMs - before.diskBusyMs) / elapsed),
        }),
      ...(now.networkBytes !== undefined &&
        before.networkBytes !== undefined &&
        speed > 0 && { network: share(((now.networkBytes - before.networkBytes) * 1000) / elapsed / speed) }),
    };
  }

  #read(): Counters {
    const { busyMs, totalMs } = this.#reader.cpu();
    return {
      at: this.#clock.monotonicMs(),
      cpuBusyMs: busyMs,
      cpuTotalMs: totalMs,
      diskBusyMs: this.#reader.diskBusyMs(),
      networkBytes: this.#reader.network()?.bytes,
    };
  }
}

const share = (value: number): number => Math.min(1, Math.max(0, Math.round(value * 1000) / 1000));

const systemHost: HostReader = {
  cpu: () => {
    let busyMs = 0;
    let totalMs = 0;
    for (const { times } of cpus()) {
      const all = times.user + times.nice + times.sys + times.idle + times.irq;
      totalMs += all;
      busyMs += all - times.idle;
    }
    return { busyMs, totalMs };
  },
  memory: () => {
    // MemAvailable counts what the page cache would give back; free memory alone would look like a leak.
    const available = numberOf(/^MemAvailable:\s+(\d+) kB/m, '/proc/meminfo');
    const total = totalmem();
    return total === 0 ? undefined : 1 - (available === undefined ? freemem() : available * 1024) / total;
  },
  diskBusyMs: () => {
    const text = textOf('/proc/diskstats');
    if (text === undefined) return undefined;
    // Field 13 is the time spent doing I/O (Documentation/admin-guide/iostats.rst).
    const busy = text.split('\n').flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      return /^(sd[a-z]+|vd[a-z]+|nvme\d+n\d+|xvd[a-z]+)$/.test(fields[2] ?? '') ? [Number(fields[12])] : [];
    });
    return busy.length === 0 ? undefined : Math.max(...busy);
  },
  network: () => {
    const text = textOf('/proc/net/dev');
    if (text === undefined) return undefined;
    let bytes = 0;
    let bytesPerSecond = 0;
    for (const line of text.split('\n').slice(2)) {
      const [card, counters] = line.split(':');
      const name = card?.trim() ?? '';
      if (counters === undefined || name === 'lo') continue;
      const fields = counters.trim().split(/\s+/).map(Number);
      bytes += Math.max(fields[0] ?? 0, fields[8] ?? 0);
      const megabits = Number(textOf(`/sys/class/net/${name}/speed`) ?? -1);
      if (megabits > 0) bytesPerSecond += (megabits * 1e6) / 8;
    }
    return { bytes, bytesPerSecond };
  },
};

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function numberOf(pattern: RegExp, path: string): number | undefined {
  const found = pattern.exec(textOf(path) ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}
