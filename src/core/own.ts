/** What a record holds by a name that somebody else has chosen: `constructor` is a name like any other. */
export function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
