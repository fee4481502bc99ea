// Load reports that servers send with their answers (the ORCA header, `endpoint-load-metrics`), for the engine:
// the newest of each server, as text. Clients never see the field (field-kinds.ts drops it); what is in it is
// read off the request path, by whoever takes the reports.

import type { FieldList } from '../core/model.ts';

const FIELD = 'endpoint-load-metrics';
// A longer one is no report.
const MAX_CHARACTERS = 4096;

/** Slot of the server and its report. */
export type LoadReport = readonly [slot: number, text: string];

/** One per worker. */
export class LoadReports {
  #newest = new Map<number, string>();

  /** @param fields of an answer's head, names lower-case. */
  note(slot: number, fields: FieldList): void {
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== FIELD) continue;
      const text = fields[i + 1]!;
      if (text.length <= MAX_CHARACTERS) this.#newest.set(slot, text);
      return;
    }
  }

  /** Those that came since the last call. */
  take(): LoadReport[] {
    if (this.#newest.size === 0) return [];
    const reports = [...this.#newest];
    this.#newest = new Map();
    return reports;
  }
}
