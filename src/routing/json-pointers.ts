// Which JSON pointers the reader is on: fed with the structure of a document (names, items, values, ends)
// by json-scan.ts, it says which values to keep and when nothing is left to find. The first of two equal
// names decides, as the contract says; a route with residency wants the second one reported, because two
// readers of one document must not disagree on its key.

/** RFC 6901: `/user/id` -> ['user', 'id']; '' -> []. */
export function parsePointer(pointer: string): readonly string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

interface Container {
  readonly isArray: boolean;
  index: number;
  /** Bit i: the path to this container is a proper prefix of pointer i. */
  readonly onPath: number;
  /** Bit i: the path to the member under way is a prefix of pointer i, or all of it. */
  member: number;
  /** Names on some pointer's path that this container had already. */
  readonly seen: Set<string>;
}

export class PointerMatch {
  readonly #paths: readonly (readonly string[])[];
  readonly #values: (Uint8Array | null)[];
  readonly #containers: Container[] = [];
  #rootMember: number;
  #decided = 0;
  #duplicate = false;

  /** @param pointers at most 31 (they are bits of a small integer). */
  constructor(pointers: readonly string[]) {
    this.#paths = pointers.map(parsePointer);
    this.#values = pointers.map(() => null);
    this.#rootMember = 2 ** pointers.length - 1;
  }

  get depth(): number {
    return this.#containers.length;
  }

  get inArray(): boolean {
    return this.#containers.at(-1)?.isArray ?? false;
  }

  /** True once every pointer has its value or can no longer have one. */
  get isDecided(): boolean {
    return this.#decided === 2 ** this.#paths.length - 1;
  }

  get hasDuplicate(): boolean {
    return this.#duplicate;
  }

  value(pointer: number): Uint8Array | null {
    return this.#values[pointer] ?? null;
  }

  /** Whether the name that begins now can be on a pointer's path. */
  wantsName(): boolean {
    return this.#containers.at(-1)!.onPath !== 0;
  }

  /** Whether the value that begins now is one that a pointer asks for. */
  wantsValue(): boolean {
    return this.#endingHere() !== 0;
  }

  /** A string, number or boolean (its bytes), or null. */
  scalar(bytes: Uint8Array | null): void {
    this.#decide(this.#endingHere(), bytes);
    this.memberEnds();
  }

  open(isArray: boolean): void {
    const ending = this.#endingHere();
    const onPath = this.#member() & ~ending;
    this.#decide(ending, null);
    this.#containers.push({ isArray, index: -1, onPath, member: 0, seen: new Set() });
    if (isArray) this.nextItem();
  }

  close(): void {
    this.#containers.pop();
    this.memberEnds();
  }

  name(name: string): void {
    const container = this.#containers.at(-1)!;
    container.member = this.#matching(container.onPath, name);
    if (container.member === 0) return;
    if (container.seen.has(name)) {
      this.#duplicate = true;
      container.member = 0;
    }
    container.seen.add(name);
  }

  nextItem(): void {
    const container = this.#containers.at(-1)!;
    container.index += 1;
    container.member = container.onPath === 0 ? 0 : this.#matching(container.onPath, String(container.index));
  }

  /** The member is over; pointers that lead through it and found nothing find nothing any more. */
  memberEnds(): void {
    this.#decide(this.#member(), null);
  }

  #member(): number {
    return this.#containers.at(-1)?.member ?? this.#rootMember;
  }

  #matching(candidates: number, name: string): number {
    const at = this.#containers.length - 1;
    let bits = 0;
    for (let i = 0; i < this.#paths.length; i++) {
      if ((candidates & (1 << i)) !== 0 && this.#paths[i]![at] === name) bits |= 1 << i;
    }
    return bits;
  }

  #endingHere(): number {
    const member = this.#member();
    if (member === 0) return 0;
    let bits = 0;
    for (let i = 0; i < this.#paths.length; i++) {
      const ends = this.#paths[i]!.length === this.#containers.length;
      if (ends && (member & (1 << i)) !== 0) bits |= 1 << i;
    }
    return bits;
  }

  #decide(pointers: number, value: Uint8Array | null): void {
    const open = pointers & ~this.#decided;
    if (open === 0) return;
    this.#decided |= open;
    for (let i = 0; i < this.#paths.length; i++) if ((open & (1 << i)) !== 0) this.#values[i] = value;
  }
}
