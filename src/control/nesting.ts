// How deep a body may nest. A mebibyte has room for hundreds of thousands of brackets, and whoever walks or copies them
// by recursion runs out of stack; nothing that this API takes nests deeper than ten.

const MAX_DEPTH = 64;

export const TOO_DEEP = `body: must not be nested deeper than ${MAX_DEPTH}`;

export function isTooDeep(body: unknown): boolean {
  let level: unknown[] = [body];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
    if (level.length === 0) return false;
  }
  return true;
}
