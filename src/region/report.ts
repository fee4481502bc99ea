// What a manager tells the proxies of its region, and how a proxy reads it: the document of `GET /report`.
// The reader trusts nothing: everything has a bound, and a report that does not fit its own form is none.

import { z } from 'zod';
import { HEALTH_STATES } from '../core/model.ts';

const origin = z
  .string()
  .max(512)
  .regex(/^https?:\/\/[^/?#@]+$/, 'must be http://HOST:PORT')
  .refine((text) => URL.canParse(text), 'must be http://HOST:PORT')
  // One spelling, so that equal addresses are equal text.
  .transform((text) => new URL(text).origin);

const share = z.number().min(0).max(1);

/** Of the machine that the manager runs on; what cannot be read is left out. */
const telemetry = z.looseObject({
  cpu: share.optional(),
  memory: share.optional(),
  disk_io: share.optional(),
  /** Of a card that tells its speed. */
  network: share.optional(),
  network_received_bytes_per_second: z.number().min(0).optional(),
  network_sent_bytes_per_second: z.number().min(0).optional(),
  disk_read_bytes_per_second: z.number().min(0).optional(),
  disk_written_bytes_per_second: z.number().min(0).optional(),
  in_flight: z.number().min(0).optional(),
  rps: z.number().min(0).optional(),
  error_rate: share.optional(),
});

export type HostTelemetry = z.output<typeof telemetry>;

const reportedServer = z.looseObject({
  id: z.string().min(1).max(256),
  url: origin,
  zone: z.string().max(63),
  health: z.enum(HEALTH_STATES),
  weight: z.number().min(0).max(1000),
  capacity: z.number().min(0).max(1e9).optional(),
  draining: z.boolean(),
  /** Nothing runs on it any more, or its time is up: it can be ended. */
  drained: z.boolean().optional(),
  in_flight: z.int().min(0).optional(),
  /** Of its own metrics, as the manager has read them: `{ cpu: 0.3 }`. */
  telemetry: z
    .record(z.string().max(96), z.number())
    .refine((values) => Object.keys(values).length <= 64, 'must have at most 64 entries')
    .optional(),
});

export const regionReport = z.looseObject({
  region: z.string().min(1).max(63),
  /** Of the manager's process: the greater one wins. */
  incarnation: z.string().min(1).max(64),
  epoch: z.int().min(0),
  dataUrl: origin,
  /** The whole region is on its way out. */
  draining: z.boolean().default(false),
  servers: z.array(reportedServer).max(1000),
  capacity: z.number().min(0).max(1e12).optional(),
  telemetry: telemetry.default({}),
  policies: z.unknown().optional(),
});

export type RegionReport = z.output<typeof regionReport>;
export type ReportedServer = RegionReport['servers'][number];

// 1,000 servers with long names; a policy with many rules.
export const MAX_REPORT_BYTES = 1024 * 1024;

export type ReportReading =
  | { readonly ok: true; readonly report: RegionReport }
  | { readonly ok: false; readonly problem: string };

/** Reads a report that should be about `region`. Never throws. */
export function readReport(text: string, region: string): ReportReading {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { ok: false, problem: 'the report is no JSON' };
  }
  const parsed = regionReport.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { ok: false, problem: `${issue.path.join('.') || 'report'}: ${issue.message}` };
  }
  if (parsed.data.region !== region) {
    return { ok: false, problem: `region: must be ${region}, given ${parsed.data.region}` };
  }
  return { ok: true, report: parsed.data };
}

/** A report supersedes another: a later start of the manager, or a later epoch of the same. */
export function isNewer(report: RegionReport, than: RegionReport | undefined): boolean {
  if (than === undefined || report.incarnation > than.incarnation) return true;
  return report.incarnation === than.incarnation && report.epoch > than.epoch;
}

/** Servers that may take requests by the manager's own word. */
export function healthyServers(report: RegionReport): number {
  return report.servers.filter(
    ({ health, draining }) =>
      !draining && (health === 'healthy' || health === 'degraded' || health === 'unknown'),
  ).length;
}
