// Kept values -> the rows that they came from, so that the engine can live through them again. Pure.

import { entityOfKey } from '../analytics/ingest/sample.ts';
import type { Row } from '../analytics/series-store.ts';
import type { HistoryValue, HourOfEntity } from '../state/stores/history-messages.ts';

/** @param values in ascending time. What the engine itself said is left out: models learn from measurements. */
export function rowsOfHistory(values: readonly HistoryValue[], stepMs: number): Row[] {
  const rows = new Map<string, Row & { values: Map<string, number> }>();
  for (const { entity: key, metric, at, value } of values) {
    if (metric.startsWith('engine.')) continue;
    const entity = entityOfKey(key);
    if (entity === undefined) continue;
    // A row's time is the end of its slot, also when the step was another then.
    const slot = Math.ceil(at / stepMs) - 1;
    const id = `${key}\n${slot}`;
    let row = rows.get(id);
    if (row === undefined) {
      row = { entity, slot, at: (slot + 1) * stepMs, values: new Map() };
      rows.set(id, row);
    }
    row.values.set(metric, value);
  }
  return [...rows.values()];
}

/** Kept hours of all entities, apart by entity; in the order that they came in. */
export function hoursByEntity(hours: readonly HourOfEntity[]): Map<string, HourOfEntity[]> {
  return Map.groupBy(hours, ({ entity }) => entity);
}
