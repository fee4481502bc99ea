// From which risk on a region loses traffic: what the engine section says for all, and what a route may say for its
// own traffic. Asked by whoever makes plans and by whoever serves by them, who must agree on the table.

/** Risks, 0..1; `low` < `high` <= `evict`. */
export interface OwnThresholds {
  readonly low: number;
  readonly high: number;
  readonly evict: number;
  /** Above it critical requests avoid a region. */
  readonly critical: number;
}

const NAMES = ['low', 'high', 'evict', 'critical'] as const;

// Thresholds are part of a table's name, and closer than this nobody knows a risk.
const STEP = 1e4;

/**
 * Thresholds of a route's traffic where they are others than those of all; a route that names some of them has the
 * rest from there.
 */
export function ownThresholds(
  { pae }: { readonly pae: { readonly thresholds: OwnThresholds } },
  {
    thresholds,
  }: { readonly thresholds?: Partial<Record<keyof OwnThresholds, number | undefined>> | undefined },
): OwnThresholds | undefined {
  if (thresholds === undefined) return undefined;
  const of = (name: keyof OwnThresholds): number => rounded(thresholds[name] ?? pae.thresholds[name]);
  if (NAMES.every((name) => of(name) === rounded(pae.thresholds[name]))) return undefined;
  return { low: of('low'), high: of('high'), evict: of('evict'), critical: of('critical') };
}

const rounded = (risk: number): number => Math.round(risk * STEP) / STEP;

/** `low/high/evict/critical`; empty where they are those of all. */
export function thresholdsName(thresholds: OwnThresholds | undefined): string {
  return thresholds === undefined ? '' : NAMES.map((name) => thresholds[name]).join('/');
}
