// What became of samples that were handed in: how many were taken, and why the others were not.

import type { Verdict } from '../series-store.ts';

export type DropReason = Exclude<Verdict, 'taken'> | 'absurd' | 'malformed' | 'unknown_region';

export interface Intake {
  readonly accepted: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
}

export class IntakeCount implements Intake {
  accepted = 0;
  readonly dropped: Partial<Record<DropReason, number>> = {};

  count(verdict: Verdict | DropReason): void {
    if (verdict === 'taken') this.accepted += 1;
    else this.dropped[verdict] = (this.dropped[verdict] ?? 0) + 1;
  }
}
