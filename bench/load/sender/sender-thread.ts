// Program of the worker thread that a sender runs in, so that neither the progress line nor the report
// shares a loop with the requests. Started by run-senders.ts.

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../src/core/clock.ts';
import type { SenderMessage, SenderPlan } from './plan.ts';
import { Sender } from './sender.ts';

const plan = workerData as SenderPlan;
const port = parentPort!;
const post = (message: SenderMessage): void => port.postMessage(message);

const sender = new Sender(plan, systemClock, (interval) => post({ kind: 'interval', interval }));
port.once('message', () => sender.stop());
const result = await sender.run();
if (result !== null) post({ kind: 'result', result });
else {
  const { address, port: targetPort } = plan.target;
  const why = `no connection to ${address}:${targetPort} could be opened`;
  post({ kind: 'failed', why: plan.target.secure ? `${why} (TLS: see --insecure)` : why });
}
port.close();
