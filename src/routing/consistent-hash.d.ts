// The package declares no types; this is the part of it that ring.ts uses.

declare module 'consistent-hash' {
  export default class ConsistentHash {
    constructor(options: { range: number });
    add(node: number, weight: number, points: readonly number[]): void;
    get(name: string, count: number): number[] | null;
  }
}
