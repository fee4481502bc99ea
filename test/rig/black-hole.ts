// An address that swallows what is sent to open a connection, without a firewall: a listener that never
// accepts and whose accept queue is full. Linux then drops further SYNs, and a client waits.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';

// A process that is stopped (SIGSTOP) accepts nothing; its backlog is as small as it can be.
const PROGRAM = `
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.stdout.write(server.address().port + '\\n'));
`;
const MOST_FILLERS = 16;
const PATIENCE_MS = 300;

/** undefined where the kernel lets every connection open. */
export async function startBlackHole(t: Test): Promise<{ readonly url: string } | undefined> {
  const child: ChildProcess = spawn(process.execPath, ['-e', PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const fillers: Socket[] = [];
  t.teardown(() => {
    for (const socket of fillers) socket.destroy();
    child.kill('SIGKILL');
  });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  for (let i = 0; i < MOST_FILLERS; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    fillers.push(socket);
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      new Promise<boolean>((resolve) => setTimeout(resolve, PATIENCE_MS, false)),
    ]);
    if (!isOpen) return { url: `http://127.0.0.1:${port}` };
  }
  return undefined;
}
