// What Linux writes under /proc, read as text that somebody else has fetched: memory, disks, network cards. Pure;
// undefined where the text says nothing of it. Totals since the machine's start: who wants rates takes differences.

export interface DiskCounters {
  /** Milliseconds that it has been busy. */
  readonly busyMs: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

export interface CardCounters {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

// Whole disks; partitions, and layers over disks (dm, md, loop, zram), would be counted twice.
const DISK = /^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/;
// Cards whose bytes go through another card, or never leave the machine.
const NO_CARD =
  /^(lo|veth.*|docker\d*|br-.*|virbr.*|cni.*|flannel.*|cali.*|dummy\d*|ifb\d*|bond\d+|team\d+)$/;
// "A sector" of diskstats is this, whatever the disk's own is (Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES = 512;

/** Share of the memory that is in use, from /proc/meminfo: what the page cache would give back is not. */
export function memoryInUse(meminfo: string): number | undefined {
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1]);
  const [total, available] = [of('MemTotal'), of('MemAvailable')];
  return total > 0 && available >= 0 ? 1 - available / total : undefined;
}

/** Disks by name, from /proc/diskstats. */
export function disksOf(diskstats: string): Map<string, DiskCounters> {
  const disks = new Map<string, DiskCounters>();
  for (const line of diskstats.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const name = fields[2] ?? '';
    const [read, written, busyMs] = [fields[5], fields[9], fields[12]].map(Number);
    if (!DISK.test(name) || !areCounts(read, written, busyMs)) continue;
    disks.set(name, {
      busyMs: busyMs!,
      readBytes: read! * SECTOR_BYTES,
      writtenBytes: written! * SECTOR_BYTES,
    });
  }
  return disks;
}

/** Network cards by name, from /proc/net/dev. */
export function cardsOf(netDev: string): Map<string, CardCounters> {
  const cards = new Map<string, CardCounters>();
  for (const line of netDev.split('\n')) {
    const [, name = '', counters = ''] = /^\s*([^\s:]+):(.*)$/.exec(line) ?? [];
    if (name === '' || NO_CARD.test(name)) continue;
    const fields = counters.trim().split(/\s+/).map(Number);
    const [received, sent] = [fields[0], fields[8]];
    if (areCounts(received, sent)) cards.set(name, { receivedBytes: received!, sentBytes: sent! });
  }
  return cards;
}

function areCounts(...values: readonly (number | undefined)[]): boolean {
  return values.every((value) => value !== undefined && value >= 0);
}
