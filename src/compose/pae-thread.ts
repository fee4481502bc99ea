// Entry of the analytics thread of a proxy: runs an engine at low priority, so that a core that is short goes to
// requests first.

import { setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createLogger } from '../telemetry/logger.ts';
import { EngineHost } from './engine-host.ts';
import type { EngineStart, FromEngine, ToEngine } from './engine-messages.ts';

// 10 of 19: half a dozen times less time than a worker when both want a core, and never starved.
const NICE = 10;

async function run(port: MessagePort, start: EngineStart): Promise<void> {
  const log = createLogger({ level: start.logLevel, thread: 'analytics' });
  try {
    // Of the calling thread, on Linux; elsewhere of the process, which must not be slowed.
    if (process.platform === 'linux') setPriority(0, NICE);
  } catch (error) {
    log.warn(
      { error: (error as Error).message },
      'the priority of the analytics thread could not be lowered',
    );
  }
  const say = (message: FromEngine): void => port.postMessage(message);
  const host = await EngineHost.start({
    config: start.config,
    folder: start.folder,
    log,
    needsHistory: false,
    plan: start.plan,
    onMetrics: (deltas) => say({ kind: 'deltas', deltas }),
    onPlan: (plan, isNew) => say(isNew ? { kind: 'plan', plan } : { kind: 'evaluated' }),
  });
  port.on('message', (message: ToEngine) => {
    switch (message.kind) {
      case 'samples':
        host.ingest(message.samples);
        return;
      case 'shard_counts':
        return host.shards.takeCounts(message.counts);
      case 'config':
        return host.shards.reload(message.config);
      case 'ask':
        void host.ask(message.ask).then((answer) => say({ kind: 'answer', ticket: message.ticket, answer }));
        return;
      case 'stop':
        void host.stop().then(async () => {
          await log.flush();
          say({ kind: 'stopped' });
          port.close();
        });
    }
  });
  say({ kind: 'ready' });
}

if (parentPort === null) throw new Error('pae-thread.ts runs as a worker thread of `foreshard proxy` only');
await run(parentPort, workerData as EngineStart);
