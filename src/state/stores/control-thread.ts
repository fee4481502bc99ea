// Entry of the thread that holds the control database: every sync of the disk happens here and delays nobody.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { ControlDatabase } from './control-database.ts';
import type { ControlAsk, FromControlStore, ToControlStore } from './control-messages.ts';

function serve(port: MessagePort, database: ControlDatabase): void {
  port.on('message', (ask: ToControlStore) => {
    const { ticket } = ask;
    try {
      port.postMessage({ ticket, answer: answer(ask, database) } satisfies FromControlStore);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      port.postMessage({ ticket, problem } satisfies FromControlStore);
    }
    if (ask.kind === 'close') port.close();
  });
}

function answer(ask: ControlAsk, database: ControlDatabase): unknown {
  switch (ask.kind) {
    case 'load':
      return database.load();
    case 'commit':
      return database.commit(ask.change);
    case 'audit':
      return database.audit(ask.limit);
    case 'revisions':
      return database.revisions(ask.limit);
    case 'revision':
      return database.revision(ask.revision);
    case 'close':
      return database.close();
  }
}

if (parentPort === null) throw new Error('control-thread.ts runs as a worker thread only');
serve(parentPort, new ControlDatabase((workerData as { path: string }).path));
