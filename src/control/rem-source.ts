// What a manager's API reads and tells: one interface that compose/rem.ts fills.

import type { FenceReason, Registration } from '../region/members.ts';
import type { RegionReport } from '../region/report.ts';
import type { ProcessSource } from './source.ts';

/** What came of something that a server or an operator asked for. */
export type MemberVerdict =
  | { readonly ok: true; readonly body: object }
  | {
      readonly ok: false;
      readonly status: number;
      readonly reason: FenceReason | 'loop' | 'veto' | 'not_draining';
      readonly detail: string;
      readonly retryAfterSeconds?: number | undefined;
    };

export interface RemSource extends ProcessSource {
  /** Epoch of the report that would be given now. */
  readonly epoch: number;
  report(): RegionReport;
  register(registration: Registration): MemberVerdict;
  renew(id: string, incarnation: string): MemberVerdict;
  deregister(id: string, incarnation: string | undefined): MemberVerdict;
  /** @param id undefined = the whole region. @param deadlineMs undefined = the configuration's. */
  drain(id: string | undefined, deadlineMs: number | undefined): MemberVerdict;
  undrain(id: string | undefined): MemberVerdict;
  /** A proxy has polled; `ack` is the epoch that it has applied, `addresses` where it listens. */
  heardOf(proxy: string, ack: number, addresses: readonly string[]): void;
  /** Resolves when there is a report later than `epoch`, or after `waitMs`. */
  changeAfter(epoch: number, waitMs: number): Promise<void>;
}
