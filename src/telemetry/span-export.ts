// OpenTelemetry spans over OTLP/HTTP. Spans are made when what they tell of is over, with the ids that were handed
// on meanwhile in traceparent; whether there are any was decided before. What a collector does not take is dropped
// and counted: telemetry never holds up what it tells of.

import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

export interface FinishedSpan {
  readonly name: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly kind: 'server' | 'client' | 'internal';
  /** Wall milliseconds, fractions count. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly isError: boolean;
  readonly children: readonly FinishedSpan[];
}

export interface SpanExportOptions {
  /** Of the collector; `/v1/traces` is added to a URL without path, as OTEL_EXPORTER_OTLP_ENDPOINT has it. */
  readonly url: string;
  /** `service.instance.id` */
  readonly instance: string;
  /** @param result what came of a batch. @param problem why it was lost. */
  readonly onExported: (result: 'sent' | 'failed', spans: number, problem: string | undefined) => void;
}

// A second: a trace is looked for soon after its request.
const BATCH_DELAY_MS = 1000;
const EXPORT_TIMEOUT_MS = 5000;
const QUEUE_SPANS = 8192;
const SAMPLED = 1;

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/** Hands out the ids that are set: ours were in use before the span was made. */
class GivenIds {
  traceId = '';
  spanId = '';

  generateTraceId(): string {
    return this.traceId;
  }

  generateSpanId(): string {
    return this.spanId;
  }
}

export class SpanExport {
  readonly #ids = new GivenIds();
  readonly #provider: TracerProvider;

  constructor({ url, instance, onExported }: SpanExportOptions) {
    const otlp = new OTLPTraceExporter({ url: tracesUrl(url), timeoutMillis: EXPORT_TIMEOUT_MS });
    const exporter: typeof otlp = Object.create(otlp, {
      export: {
        value: (spans, onResult) =>
          otlp.export(spans, (result) => {
            onExported(result.code === 0 ? 'sent' : 'failed', spans.length, result.error?.message);
            onResult(result);
          }),
      } satisfies TypedPropertyDescriptor<typeof otlp.export>,
    });
    this.#provider = new TracerProvider({
      idGenerator: this.#ids,
      resource: resourceFromAttributes({ 'service.name': 'foreshard', 'service.instance.id': instance }),
      spanProcessors: [
        new BatchSpanProcessor({
          exporter,
          maxQueueSize: QUEUE_SPANS,
          scheduledDelayMillis: BATCH_DELAY_MS,
          exportTimeoutMillis: EXPORT_TIMEOUT_MS,
        }),
      ],
    });
  }

  /** @param parentId of the caller's span in the same trace, when there was one. */
  add(traceId: string, parentId: string | undefined, span: FinishedSpan): void {
    this.#ids.traceId = traceId;
    const parent =
      parentId === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, {
            traceId,
            spanId: parentId,
            traceFlags: SAMPLED,
            isRemote: true,
          });
    this.#make(span, parent);
  }

  #make(finished: FinishedSpan, parent: Context): void {
    this.#ids.spanId = finished.spanId;
    const options = {
      kind: KINDS[finished.kind],
      startTime: finished.startMs,
      attributes: finished.attributes,
    };
    const span = this.#provider.getTracer('foreshard').startSpan(finished.name, options, parent);
    if (finished.isError) span.setStatus({ code: SpanStatusCode.ERROR });
    const inside = trace.setSpan(parent, span);
    for (const child of finished.children) this.#make(child, inside);
    span.end(finished.endMs);
  }

  /** Sends what is waiting; gives up after a while. */
  async close(): Promise<void> {
    await this.#provider.shutdown().catch(() => undefined);
  }
}

function tracesUrl(url: string): string {
  const { pathname } = new URL(url);
  return pathname === '/' ? new URL('/v1/traces', url).href : url;
}
