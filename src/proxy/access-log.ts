// One line per request, or for the sampled share of them: ids, times and outcomes, never a key, a query or
// a client's address. Failures, retries and keys that are not where they belong are always logged.

import type { Snapshot } from '../routing/snapshot.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RequestTrace } from './trace.ts';

export function logAccess(trace: RequestTrace, snapshot: Snapshot, log: Logger): void {
  const { accessLog } = snapshot.settings;
  if (trace.reason === 'internal') {
    log.error({ requestId: trace.requestId, error: trace.detail }, 'request failed by a fault of the proxy');
  }
  if (accessLog === 'off') return;
  if (accessLog === 'sampled' && !isRemarkable(trace) && !trace.isSampled) return;
  log.info(accessFields(trace, snapshot), 'access');
}

function isRemarkable(trace: RequestTrace): boolean {
  return trace.isRetried || trace.status >= 500 || (trace.reason !== undefined && trace.status !== 404);
}

function accessFields(trace: RequestTrace, snapshot: Snapshot): object {
  const name = (index: number | undefined): string | undefined =>
    index === undefined || index < 0 ? undefined : snapshot.regions[index]?.id;
  const last = trace.attempts.at(-1);
  return {
    requestId: trace.requestId,
    method: trace.method,
    path: trace.path,
    route: trace.route?.id,
    shard: trace.shard >= 0 ? trace.shard : undefined,
    picked: trace.picked === trace.region ? undefined : name(trace.picked),
    choice: trace.choice === 'policy' ? undefined : trace.choice,
    region: name(trace.region),
    server: last?.server,
    attempts: trace.attempts.length,
    failed: failedAttempts(trace, name),
    status: trace.status,
    reason: trace.reason,
    ms: Math.round((trace.endedAt - trace.startedAt) * 1000) / 1000,
  };
}

function failedAttempts(
  trace: RequestTrace,
  name: (index: number) => string | undefined,
): object[] | undefined {
  const failed = trace.attempts.filter(
    ({ cause, outcome }, i) =>
      cause !== undefined || (i < trace.attempts.length - 1 && outcome !== 'overtaken'),
  );
  if (failed.length === 0) return undefined;
  return failed.map(({ region, server, outcome, cause }) => ({
    region: name(region),
    server,
    outcome,
    cause,
  }));
}
