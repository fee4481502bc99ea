// Drives a proxy with wrk, the generator that takes the least of a small machine, through a Lua script
// made here: keys that vary, bodies, and one JSON line at the end in place of the text report.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from './child-process.ts';
import type { LoadOutcome, LoadRequest } from './load-generator.ts';
import { findProgram } from './proxies/definition.ts';

/** wrk waits for its threads and its last responses after the duration. */
const GRACE_MS = 20_000;

interface WrkSummary {
  readonly requests: number;
  readonly micros: number;
  readonly bytes: number;
  readonly connect: number;
  readonly read: number;
  readonly write: number;
  readonly status: number;
  readonly timeout: number;
  readonly p50: number;
  readonly p99: number;
}

export async function wrkVersion(): Promise<string | null> {
  const program = findProgram('wrk');
  if (program === null) return null;
  // wrk prints its version and its usage, and ends with 1.
  const outcome = await runToEnd({ command: program, args: ['-v'] }, 5000);
  return /wrk (\S*\d\.\d\S*)/.exec(outcome.stdout)?.[1] ?? 'unknown';
}

/** Requests are formatted once at start: formatting each would make wrk, not the proxy, the bottleneck. */
export function wrkScript(request: LoadRequest): string {
  const body = request.bodyBytes > 0 ? `wrk.body = string.rep("x", ${request.bodyBytes})` : '';
  return `wrk.method = "${request.method}"
${body}
local requests, n = {}, 0
function init(args)
  for i = 1, ${request.keys} do
    wrk.headers["${request.keyHeader}"] = "user-" .. i
    requests[i] = wrk.format()
  end
end
function request()
  n = n % ${request.keys} + 1
  return requests[n]
end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"micros":%d,"bytes":%.0f,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;
}

/** The script's JSON line, found among wrk's own text; null when it is not there. */
export function parseWrkOutput(stdout: string): LoadOutcome | null {
  const line = stdout.split('\n').find((candidate) => candidate.startsWith('{"requests"'));
  if (line === undefined) return null;
  const summary = JSON.parse(line) as WrkSummary;
  return {
    kind: 'done',
    requests: summary.requests,
    seconds: summary.micros / 1e6,
    p50Micros: summary.p50,
    p99Micros: summary.p99,
    errors: summary.connect + summary.read + summary.write + summary.timeout,
    badStatuses: summary.status,
  };
}

export async function runWrk(request: LoadRequest, folder: string): Promise<LoadOutcome> {
  const script = join(folder, 'wrk.lua');
  writeFileSync(script, wrkScript(request));
  const args = [
    '-t1',
    `-c${request.connections}`,
    `-d${request.seconds}s`,
    '--timeout',
    '10s',
    '-s',
    script,
    request.url,
  ];
  const outcome = await runToEnd({ command: findProgram('wrk')!, args }, request.seconds * 1000 + GRACE_MS);
  if (outcome.kind === 'failed') return outcome;
  return (
    parseWrkOutput(outcome.stdout) ?? {
      kind: 'failed',
      why: `wrk gave no summary: ${outcome.stdout.slice(-300)}`,
    }
  );
}
