// State of models on its way to the disk and back: objects with texts, and rows of numbers packed as base64, which
// carries what JSON cannot (NaN, infinities) in a third of its size. Whoever reads asks for exactly what the
// writer put there; anything else is an UnreadableState with the path, caught where a whole state is read.

/** What was read is not what an engine of this version writes. */
export class UnreadableState extends Error {}

type Packed = Float64Array | Float32Array | Int16Array | Int8Array | Uint8Array;

/** Bytes of a typed array, in the order of the machine (all that Node 26 runs on are little-endian). */
export function pack(values: Packed): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}

/** Numbers of any kind, NaN and infinities too. */
export function packNumbers(values: Iterable<number>): string {
  return pack(Float64Array.from(values));
}

export class StateReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** Throws UnreadableState for anything but an object. */
  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new UnreadableState(`${path || 'the state'} must be an object`);
    }
    this.#fields = value as Record<string, unknown>;
    this.#path = path;
  }

  has(key: string): boolean {
    return this.#fields[key] !== undefined;
  }

  at(key: string): StateReader {
    return new StateReader(this.#fields[key], this.#pathOf(key));
  }

  /** The field as it is, for readers with checks of their own. */
  raw(key: string): unknown {
    return this.#fields[key];
  }

  list(key: string, most: number): StateReader[] {
    const value = this.#fields[key];
    if (!Array.isArray(value) || value.length > most) throw this.#wrong(key, `a list of at most ${most}`);
    return value.map((item, i) => new StateReader(item, `${this.#pathOf(key)}[${i}]`));
  }

  texts(key: string, most: number): string[] {
    const value = this.#fields[key];
    const isRight =
      Array.isArray(value) && value.length <= most && value.every((text) => typeof text === 'string');
    if (!isRight) throw this.#wrong(key, `a list of at most ${most} texts`);
    return value;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T {
    const value = this.#fields[key];
    if (!allowed.includes(value as T)) throw this.#wrong(key, `one of ${allowed.join(', ')}`);
    return value as T;
  }

  /** Exactly `length` numbers that packNumbers wrote. */
  numbers(key: string, length: number): Float64Array {
    const values = this.numbersUpTo(key, length);
    if (values.length !== length) throw this.#wrong(key, `${length} numbers, given ${values.length}`);
    return values;
  }

  numbersUpTo(key: string, most: number): Float64Array {
    const bytes = this.#bytes(key, 8, most);
    return new Float64Array(bytes.buffer, 0, bytes.length / 8);
  }

  floatsUpTo(key: string, most: number): Float32Array {
    const bytes = this.#bytes(key, 4, most);
    return new Float32Array(bytes.buffer, 0, bytes.length / 4);
  }

  floats(key: string, length: number): Float32Array {
    const values = this.floatsUpTo(key, length);
    if (values.length !== length) throw this.#wrong(key, `${length} numbers, given ${values.length}`);
    return values;
  }

  int16s(key: string, length: number): Int16Array {
    const bytes = this.#bytes(key, 2, length);
    if (bytes.length !== 2 * length) throw this.#wrong(key, `${length} numbers`);
    return new Int16Array(bytes.buffer, 0, length);
  }

  bytes(key: string, length: number): Uint8Array {
    const bytes = this.#bytes(key, 1, length);
    if (bytes.length !== length) throw this.#wrong(key, `${length} bytes`);
    return bytes;
  }

  /** A copy of its own, so that it begins where any typed array may. */
  #bytes(key: string, size: number, most: number): Uint8Array<ArrayBuffer> {
    const value = this.#fields[key];
    const bytes = typeof value === 'string' ? Uint8Array.from(Buffer.from(value, 'base64')) : undefined;
    if (bytes === undefined || bytes.length % size !== 0 || bytes.length > size * most) {
      throw this.#wrong(key, `at most ${most} packed numbers`);
    }
    return bytes;
  }

  #pathOf(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  #wrong(key: string, allowed: string): UnreadableState {
    return new UnreadableState(`${this.#pathOf(key)} must be ${allowed}`);
  }
}
