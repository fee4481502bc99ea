// Preloaded into a proxy under test (NODE_OPTIONS=--import) to kill one of its worker threads as a bug would:
// when the file named by CRASH_WORKER appears, worker 0 throws where nobody catches, or fills its heap.

import { existsSync, readFileSync, unlinkSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';

const LOOK_MS = 20;

function crash(how: string): void {
  if (how !== 'heap') throw new Error('thrown by a story');
  const kept: number[][] = [];
  for (;;) kept.push(new Array<number>(10_000).fill(kept.length));
}

const path = process.env.CRASH_WORKER;
if (path !== undefined && !isMainThread && (workerData as { worker?: number } | null)?.worker === 0) {
  setInterval(() => {
    if (!existsSync(path)) return;
    const how = readFileSync(path, 'utf8');
    unlinkSync(path);
    crash(how);
  }, LOOK_MS).unref();
}
