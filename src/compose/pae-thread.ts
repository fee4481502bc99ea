// Entry of the analytics thread of a proxy: runs an engine at low priority, so that a core that is short goes to
// requests first.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createLogger } from '../telemetry/logger.ts';
import { EngineHost } from './engine-host.ts';
import type { EngineStart, FromEngine, ToEngine } from './engine-messages.ts';
import { lowerPriority } from './thread-priority.ts';

async function run(port: MessagePort, start: EngineStart): Promise<void> {
  const log = createLogger({ level: start.logLevel, thread: 'analytics' });
  lowerPriority(log);
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
