// Draws the number of the key that a request carries: none, uniform, or Zipf, the shape of real users,
// where a few keys make most of the load. Pure: randomness is an argument.

import type { Random } from '../../../src/core/random.ts';

export type KeyPlan =
  | { readonly kind: 'none' }
  | { readonly kind: 'uniform'; readonly count: number }
  /** P(rank k) is proportional to k^-exponent. */
  | { readonly kind: 'zipf'; readonly count: number; readonly exponent: number };

/** Beyond that neighbouring ranks are no longer distinct in the floating-point inversion. */
const MAX_KEYS = 1_000_000_000;
const DEFAULT_EXPONENT = 1.1;
const MAX_EXPONENT = 10;

/** `none`, `uniform:N` or `zipf:N[:EXPONENT]`; a sentence about what is allowed otherwise. */
export function parseKeyPlan(text: string): KeyPlan | string {
  const allowed = `keys must be none, uniform:N or zipf:N[:EXPONENT] (N 1..1e9, EXPONENT above 0, at most 10), not "${text}"`;
  if (text === 'none') return { kind: 'none' };
  const match = /^(uniform|zipf):(\d+)(?::(\d+(?:\.\d+)?))?$/.exec(text);
  if (match === null) return allowed;
  const count = Number(match[2]);
  const exponent = match[3] === undefined ? DEFAULT_EXPONENT : Number(match[3]);
  if (count < 1 || count > MAX_KEYS || !(exponent > 0) || exponent > MAX_EXPONENT) return allowed;
  if (match[1] === 'zipf') return { kind: 'zipf', count, exponent };
  return match[3] === undefined ? { kind: 'uniform', count } : allowed;
}

/** Gives 1..count; with `none` always 0. */
export function keySource(plan: KeyPlan, random: Random): () => number {
  switch (plan.kind) {
    case 'none':
      return () => 0;
    case 'uniform':
      return () => 1 + Math.floor(random.next() * plan.count);
    case 'zipf':
      return zipfSource(plan.count, plan.exponent, random);
  }
}

/**
 * Rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone
 * discrete distributions", 1996): constant time and memory for any count, where a table of a billion
 * ranks would need gigabytes. The density k^-s is inverted through its integral H; the excess of the
 * continuous density over the bars is rejected (less than one draw in eight).
 */
function zipfSource(count: number, exponent: number, random: Random): () => number {
  const density = (x: number): number => Math.exp(-exponent * Math.log(x));
  const integral = (x: number): number => {
    const logX = Math.log(x);
    return expm1OverX((1 - exponent) * logX) * logX;
  };
  const inverse = (y: number): number => {
    // Rounding can push the argument just below -1, where the logarithm has no value.
    const t = Math.max(y * (1 - exponent), -1);
    return Math.exp(log1pOverX(t) * y);
  };
  const first = integral(1.5) - 1;
  const last = integral(count + 0.5);
  const squeeze = 2 - inverse(integral(2.5) - density(2));
  return () => {
    for (;;) {
      const u = last + random.next() * (first - last);
      const x = inverse(u);
      const k = Math.min(count, Math.max(1, Math.floor(x + 0.5)));
      if (k - x <= squeeze || u >= integral(k + 0.5) - density(k)) return k;
    }
  };
}

/** (e^x - 1) / x, by its series where the quotient loses all digits (exponent near 1). */
function expm1OverX(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.expm1(x) / x : 1 + x / 2 + (x * x) / 6;
}

/** log(1 + x) / x, likewise. */
function log1pOverX(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.log1p(x) / x : 1 - x / 2 + (x * x) / 3;
}
