// Ports that were free a moment ago. Programs that cannot report the port they bound (nginx, HAProxy,
// Caddy) must be given one; the kernel picks it, so that two benches at once do not meet.

import { createServer } from 'node:net';

/** `count` different TCP ports, free on 127.0.0.1. */
export async function freePorts(count: number): Promise<number[]> {
  // All are held until the last is known: the kernel would otherwise hand out one of them twice.
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            if (address === null || typeof address === 'string') reject(new Error('no port'));
            else resolve(address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
