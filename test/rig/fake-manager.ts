// A manager's API that says what a test wants it to say, true or not.

import { createServer } from 'node:http';
import type { Test } from 'tap';

export interface FakeManager {
  readonly api: string;
  /** Reports asked for so far. */
  readonly polls: () => number;
  /** Changes what it says, in a new epoch unless one is given. */
  say(parts: Readonly<Record<string, unknown>>): void;
}

const LONGEST_WAIT_MS = 200;

/** Answers `/report` for a region with one healthy server and the data path `dataUrl`. */
export async function startFakeManager(t: Test, region: string, dataUrl: string): Promise<FakeManager> {
  let polls = 0;
  let report: Record<string, unknown> = {
    region,
    incarnation: '01B',
    epoch: 1,
    dataUrl,
    draining: false,
    servers: [
      { id: 's', url: 'http://127.0.0.1:9', zone: '', health: 'healthy', weight: 1, draining: false },
    ],
  };
  const server = createServer((request, response) => {
    polls += 1;
    const known = new URL(request.url!, 'http://x').searchParams.get('after');
    const answer = (): void => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(report));
    };
    // Nothing new: answered later, as by a manager that waits.
    if (known === String(report.epoch)) setTimeout(answer, LONGEST_WAIT_MS);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    api: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    polls: () => polls,
    say: (parts) => {
      report = { ...report, epoch: (report.epoch as number) + 1, ...parts };
    },
  };
}
