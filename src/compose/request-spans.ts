// Finished requests -> spans: one for the request, one for each attempt; and the plans that this proxy takes. Held by
// the main thread: workers hand over what is to be exported, and a reload may name another collector.

import type { Config } from '../config/schema.ts';
import type { Plan } from '../plan/plan.ts';
import { attemptSpanId } from '../proxy/request-ids.ts';
import type { TracedAttempt, TraceRecord } from '../proxy/trace-record.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry } from '../telemetry/registry.ts';
import type { FinishedSpan } from '../telemetry/span-export.ts';
import { SpanOutlet } from '../telemetry/span-outlet.ts';
import { type Interval, planAttributes, planTrace, stepSpan } from './plan-spans.ts';

export class RequestSpans {
  readonly #instance: string;
  readonly #metrics: MetricsRegistry;
  readonly #log: Logger;
  readonly #outlet: SpanOutlet;
  #planSample = 0;
  #told = '';

  constructor(instance: string, metrics: MetricsRegistry, log: Logger) {
    this.#instance = instance;
    this.#metrics = metrics;
    this.#log = log;
    this.#outlet = new SpanOutlet({
      instance,
      onExported: (result, spans, problem) => this.#exported(result, spans, problem),
    });
  }

  /** Without a URL nothing is exported. */
  configure({ url, planSample }: Config['otlp']): void {
    this.#planSample = planSample;
    this.#outlet.aim(url);
  }

  take(records: readonly TraceRecord[]): void {
    for (const record of records) {
      if (record.span === undefined) continue;
      this.#outlet.add(record.span.traceId, record.span.parentId, requestSpan(record, record.span.spanId));
    }
  }

  /** A plan that this proxy has taken: spans of the trace that its engine has begun. */
  planTaken(plan: Plan, { adopt, publish }: { readonly adopt: Interval; readonly publish: Interval }): void {
    const trace = planTrace(plan);
    if (trace.place >= this.#planSample) return;
    const by = this.#instance;
    const attributes = { ...planAttributes(plan), 'foreshard.proxy': by };
    this.#outlet.add(trace.traceId, trace.rootId, {
      ...stepSpan(trace, 'adopt', { startMs: adopt.startMs, endMs: publish.endMs }, { by, attributes }),
      children: [stepSpan(trace, 'validate', adopt, { by }), stepSpan(trace, 'publish', publish, { by })],
    });
  }

  close(): Promise<void> {
    return this.#outlet.close();
  }

  /** The same failure is told once. */
  #exported(result: 'sent' | 'failed', spans: number, problem: string | undefined): void {
    this.#metrics.add('foreshard_spans_total', [result], spans);
    if (problem !== undefined && problem !== this.#told) {
      this.#log.warn({ problem, url: this.#outlet.url }, 'spans could not be exported');
    }
    this.#told = problem ?? '';
  }
}

function requestSpan(record: TraceRecord, spanId: string): FinishedSpan {
  const { decision } = record;
  return {
    name: `${record.method} ${record.route ?? 'no route'}`,
    spanId,
    kind: 'server',
    startMs: record.at,
    endMs: record.at + record.durationMs,
    isError: record.status >= 500,
    attributes: {
      'http.request.method': record.method,
      'url.path': record.path,
      'http.response.status_code': record.status,
      'foreshard.request_id': record.requestId,
      'foreshard.plan.generation': record.plan.generation,
      ...(record.route !== undefined && { 'http.route': record.route }),
      ...(record.reason !== undefined && { 'error.type': record.reason }),
      ...(decision !== undefined && {
        'foreshard.shard': decision.shard,
        // Where it ended, as in its trace; where it was to go first is its first attempt's.
        'foreshard.region': record.attempts.at(-1)?.region ?? decision.region,
        'foreshard.choice': decision.choice,
        'foreshard.moving': decision.isMoving,
        ...(decision.picked !== null && { 'foreshard.picked': decision.picked }),
      }),
    },
    children: record.attempts.map((attempt) =>
      attemptSpan(record, attempt, attemptSpanId(spanId, attempt.number)),
    ),
  };
}

/** As OpenTelemetry parts them. */
function addressOf(server: string): Record<string, string | number> {
  const { protocol, hostname, port } = new URL(server);
  return {
    'server.address': hostname,
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  };
}

function outcomeOf(outcome: TracedAttempt['outcome']): Record<string, string | number | boolean> {
  if (outcome === 'overtaken') return { 'foreshard.overtaken': true };
  return typeof outcome === 'number' ? { 'http.response.status_code': outcome } : { 'error.type': outcome };
}

function attemptSpan({ at, method }: TraceRecord, attempt: TracedAttempt, spanId: string): FinishedSpan {
  const startMs = at + attempt.startMs;
  const { outcome } = attempt;
  return {
    name: `${method} ${attempt.region}`,
    spanId,
    kind: 'client',
    startMs,
    endMs: startMs + attempt.durationMs,
    isError: typeof outcome === 'string' ? outcome !== 'overtaken' : outcome >= 500,
    attributes: {
      ...addressOf(attempt.server),
      'foreshard.region': attempt.region,
      ...outcomeOf(outcome),
      ...(attempt.retryCause !== undefined && { 'foreshard.retry_cause': attempt.retryCause }),
    },
    children: [],
  };
}
