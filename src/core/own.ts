// Records by names that somebody else has chosen: `constructor` and `toString` are names like any other, and every
// object seems to have them.

/** Undefined when the record holds nothing of its own by this name. */
export function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
