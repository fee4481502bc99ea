// What a process and its descendants have cost, from /proc: CPU microseconds and resident memory. CPU
// time per request stays steady where throughput does not, because a neighbour on the machine takes the
// core away but not the time already spent. Linux only; elsewhere the figures are absent, not zero.

import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: the unit of utime and stime. The kernel's ABI fixes it to 100 on x86 and arm. */
const TICKS_PER_SECOND = 100;
const MICROS_PER_TICK = 1_000_000 / TICKS_PER_SECOND;

export interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  /** Ticks from boot to the start: with the pid it names a process that a later one cannot be taken for. */
  readonly startTicks: number;
  /** User and system time of all threads and of children that were awaited, those that ended included. */
  readonly cpuMicros: number;
}

export interface TreeUsage {
  readonly members: readonly ProcessStat[];
  readonly cpuMicros: number;
  /** Sum of VmRSS: a page that two processes of the tree share is counted twice. */
  readonly rssBytes: number;
}

/** One /proc/PID/stat line (proc(5)). The name in brackets may itself hold spaces and brackets. */
export function parseProcessStat(text: string): ProcessStat | null {
  const nameEnd = text.lastIndexOf(')');
  const pid = Number.parseInt(text, 10);
  if (nameEnd < 0 || !Number.isInteger(pid)) return null;
  // After the name: field 3 (state) is at 0, so ppid (4) at 1, utime, stime, cutime, cstime (14 to 17) at 11,
  // starttime (22) at 19.
  const fields = text
    .slice(nameEnd + 2)
    .split(' ')
    .map(Number);
  const [parentPid = Number.NaN, startTicks = Number.NaN] = [fields[1], fields[19]];
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + field, 0);
  if (![parentPid, startTicks, ticks].every(Number.isInteger)) return null;
  return { pid, parentPid, startTicks, cpuMicros: ticks * MICROS_PER_TICK };
}

/** VmRSS of /proc/PID/status in bytes; 0 for a process that has none (a zombie, a kernel thread). */
export function parseRssBytes(status: string): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** Busy CPU microseconds of the whole machine from the first line of /proc/stat (user .. steal, no idle). */
export function parseMachineBusyMicros(text: string): number {
  const fields = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1, 9).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return (user + nice + system + irq + softirq + steal) * MICROS_PER_TICK;
}

/** The process and all that descend from it, in no order. */
export function descendants(stats: readonly ProcessStat[], root: number): ProcessStat[] {
  const children = Map.groupBy(stats, (stat) => stat.parentPid);
  const found = stats.filter((stat) => stat.pid === root);
  for (const stat of found) found.push(...(children.get(stat.pid) ?? []));
  return found;
}

/** Null where there is no /proc, or the process is gone. */
export function readTreeUsage(root: number): TreeUsage | null {
  const tree = descendants(readAllStats(), root);
  if (tree.length === 0) return null;
  return {
    members: tree,
    cpuMicros: tree.reduce((sum, stat) => sum + stat.cpuMicros, 0),
    rssBytes: tree.reduce((sum, stat) => sum + parseRssBytes(readOrEmpty(`/proc/${stat.pid}/status`)), 0),
  };
}

/** NaN where there is no /proc. */
export function readMachineBusyMicros(): number {
  const text = readOrEmpty('/proc/stat');
  return text === '' ? Number.NaN : parseMachineBusyMicros(text);
}

function readAllStats(): ProcessStat[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => parseProcessStat(readOrEmpty(`/proc/${name}/stat`)))
    .filter((stat) => stat !== null);
}

/** A process may end between listing and reading: then there is nothing to read. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
