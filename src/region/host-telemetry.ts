// CPU, memory, disk and network of the machine, for a manager's report: node:os everywhere, /proc where there
// is one. Shares of one and bytes a second. What cannot be known (the share of a network card that does not tell
// its speed, as most virtual ones do not) is left out rather than guessed.

import { readFileSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import type { Clock } from '../core/clock.ts';
import { type CardCounters, cardsOf, type DiskCounters, disksOf, memoryInUse } from './proc-text.ts';
import type { HostTelemetry } from './report.ts';

export interface HostReader {
  cpu(): { readonly busyMs: number; readonly totalMs: number };
  /** Share in use. */
  memory(): number | undefined;
  disks(): ReadonlyMap<string, DiskCounters>;
  cards(): ReadonlyMap<string, CardCounters>;
  /** Bytes/s in each direction; undefined = it does not say. */
  speedOf(card: string): number | undefined;
}

/** Totals at one moment. */
interface Reading {
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly cpu: ReturnType<HostReader['cpu']>;
  readonly disks: ReturnType<HostReader['disks']>;
  readonly cards: ReturnType<HostReader['cards']>;
}

/** Shares and rates since the last call; one per manager. */
export class HostMeter {
  readonly #reader: HostReader;
  readonly #clock: Clock;
  #before: Reading;

  constructor(clock: Clock, reader: HostReader = systemHost) {
    this.#clock = clock;
    this.#reader = reader;
    this.#before = this.#read();
  }

  measure(): HostTelemetry {
    const before = this.#before;
    const now = this.#read();
    const elapsedMs = now.at - before.at;
    if (elapsedMs <= 0) return {};
    this.#before = now;
    const cpuTotal = now.cpu.totalMs - before.cpu.totalMs;
    const memory = this.#reader.memory();
    return {
      ...(cpuTotal > 0 && { cpu: share((now.cpu.busyMs - before.cpu.busyMs) / cpuTotal) }),
      ...(memory !== undefined && { memory: share(memory) }),
      ...diskTelemetry(before.disks, now.disks, elapsedMs),
      ...this.#networkTelemetry(before.cards, now.cards, elapsedMs),
    };
  }

  #networkTelemetry(
    before: Reading['cards'],
    now: Reading['cards'],
    elapsedMs: number,
  ): Partial<HostTelemetry> {
    const received = rates(before, now, (card) => card.receivedBytes, elapsedMs);
    const sent = rates(before, now, (card) => card.sentBytes, elapsedMs);
    if (received.size === 0) return {};
    // A card is as full as its fuller direction, and the machine as its fullest card.
    const shares = [...received].flatMap(([card, rate]) => {
      const speed = this.#reader.speedOf(card);
      return speed === undefined ? [] : [Math.max(rate, sent.get(card) ?? 0) / speed];
    });
    return {
      ...(shares.length > 0 && { network: share(Math.max(...shares)) }),
      network_received_bytes_per_second: sum(received),
      network_sent_bytes_per_second: sum(sent),
    };
  }

  #read(): Reading {
    const { cpu, disks, cards } = this.#reader;
    return { at: this.#clock.monotonicMs(), cpu: cpu(), disks: disks(), cards: cards() };
  }
}

function diskTelemetry(
  before: Reading['disks'],
  now: Reading['disks'],
  elapsedMs: number,
): Partial<HostTelemetry> {
  const busy = rates(before, now, (disk) => disk.busyMs, elapsedMs);
  if (busy.size === 0) return {};
  return {
    // Milliseconds busy in a second; of the busiest disk.
    disk_io: share(Math.max(...busy.values()) / 1000),
    disk_read_bytes_per_second: sum(rates(before, now, (disk) => disk.readBytes, elapsedMs)),
    disk_written_bytes_per_second: sum(rates(before, now, (disk) => disk.writtenBytes, elapsedMs)),
  };
}

/** Per second, of what was there at both moments. A counter that fell has begun anew and says nothing yet. */
function rates<T>(
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  counterOf: (counters: T) => number,
  elapsedMs: number,
): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, counters] of now) {
    const last = before.get(name);
    if (last === undefined) continue;
    found.set(name, (Math.max(0, counterOf(counters) - counterOf(last)) * 1000) / elapsedMs);
  }
  return found;
}

const sum = (of: ReadonlyMap<string, number>): number =>
  Math.round([...of.values()].reduce((total, value) => total + value, 0));

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
    const total = totalmem();
    // Where nobody tells what the page cache would give back, free memory has to do.
    return memoryInUse(textOf('/proc/meminfo')) ?? (total === 0 ? undefined : 1 - freemem() / total);
  },
  disks: () => disksOf(textOf('/proc/diskstats')),
  cards: () => cardsOf(textOf('/proc/net/dev')),
  speedOf: (card) => {
    // Megabit/s; -1 or an error where the card does not know.
    const megabits = Number(textOf(`/sys/class/net/${card}/speed`) || -1);
    return megabits > 0 ? (megabits * 1e6) / 8 : undefined;
  },
};

/** Empty where there is no such file: another system, or a card without that word. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
