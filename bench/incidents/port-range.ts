// Ports for servers that close and open again during a run. They are taken below the range from which the kernel draws
// the local ports of outgoing connections: there a retry to a closed port could be given that very port as its own.

import { createServer } from 'node:net';
import type { Random } from '../../src/core/random.ts';

const LOWEST = 20_000;
const HIGHEST = 32_000;
const ATTEMPTS = 200;

/** `count` different TCP ports, free on 127.0.0.1 a moment ago. Throws when there are too few. */
export async function portsBelowEphemeral(count: number, random: Random): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS + count && ports.size < count; attempt++) {
    const port = LOWEST + (random.u32() % (HIGHEST - LOWEST));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count) throw new Error(`no ${count} free ports between ${LOWEST} and ${HIGHEST}`);
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
