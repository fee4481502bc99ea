// Assertions are for bugs: a false one means that the program is wrong, not that a peer misbehaved.
// What the network or an operator can cause is a value (see reasons.ts), never an assertion.

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Put in the default branch of a switch over a union: adding a member then fails to compile. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unexpected value ${JSON.stringify(value)}`);
}
