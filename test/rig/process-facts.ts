// What Linux says of a process and its ports: descriptors, CPU time, listening sockets. For stories that count
// what is left behind.

import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Milliseconds of CPU, all threads, user and system. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  // Clock ticks of 10 ms: USER_HZ is 100 on every Linux that Node runs on.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Sockets that listen on a port of 127.0.0.1; with reusePort there is one for each worker. */
export function listenersOn(port: number): number {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${address} `) && / 0A /.test(line)).length;
}

/** Ports that were free a moment ago; for processes that must agree on one. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Nice value by thread name; of threads with one name, one. */
export function niceByThread(pid: number): Readonly<Record<string, number>> {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return [name, Number(stat.replace(/^.*\) /s, '').split(' ')[16])] as const;
  });
  return Object.fromEntries(threads);
}
