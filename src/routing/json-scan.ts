// Finds the values at a few JSON pointers in a body that arrives in pieces, and stops as soon as all are
// decided. It reads only as far as it must and keeps only the values asked for; it does not validate the
// document, that is the server's affair: what it cannot read is a missing key. Contract ("Hash"): a string
// counts as its UTF-8 bytes, a number or boolean as its source text; object, array, null are missing.

import { PointerMatch } from './json-pointers.ts';

// Deeper nesting than any real document; beyond it the scan gives up and what is undecided is missing.
const MAX_DEPTH = 256;

type Mode =
  | 'value' // a value begins
  | 'first_item' // after [: a value or ]
  | 'first_name' // after {: a name or }
  | 'next_name' // after , in an object
  | 'colon'
  | 'after_value'
  | 'string'
  | 'escape'
  | 'unicode'
  | 'literal'; // number, true, false, null

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

const encoder = new TextEncoder();
// By default a decoder drops a leading byte order mark: "\ufeffid" would pass for "id".
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class JsonScan {
  readonly #match: PointerMatch;
  readonly #refuseDuplicates: boolean;
  #mode: Mode = 'value';
  #isDone = false;
  #isName = false;
  // The string or literal under way; collected only when a pointer may ask for it.
  #token: number[] = [];
  #collects = false;
  #codeUnit = 0;
  #codeUnitDigits = 0;
  #highSurrogate = 0;

  /**
   * @param pointers RFC 6901, at most 8.
   * @param refuseDuplicates read on to the end, so that `hasDuplicate` can tell of a second name.
   */
  constructor(pointers: readonly string[], refuseDuplicates = false) {
    this.#match = new PointerMatch(pointers);
    this.#refuseDuplicates = refuseDuplicates;
  }

  /** Value at pointer `index`; null when it is missing or was not reached. */
  value(index: number): Uint8Array | null {
    return this.#match.value(index);
  }

  /** True when a name on a pointer's path came twice in one object. */
  get hasDuplicate(): boolean {
    return this.#match.hasDuplicate;
  }

  /** Takes the next bytes; true when nothing that follows can change the result. */
  push(bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length && !this.#isDone; i++) this.#step(bytes[i]!);
    return this.#isDone;
  }

  /** The body is over: a number at its very end has no byte behind it to end it. */
  finish(): void {
    if (!this.#isDone && this.#mode === 'literal') this.#endLiteral();
    this.#isDone = true;
  }

  #step(byte: number): void {
    switch (this.#mode) {
      case 'string':
        return this.#stepString(byte);
      case 'escape':
        return this.#stepEscape(byte);
      case 'unicode':
        return this.#stepUnicode(byte);
      case 'literal':
        if (isLiteralByte(byte)) {
          if (this.#collects) this.#token.push(byte);
          return;
        }
        this.#endLiteral();
        // The byte that ends a literal is punctuation of its own.
        if (!this.#isDone) this.#stepStructure(byte);
        return;
      default:
        return this.#stepStructure(byte);
    }
  }

  #stepStructure(byte: number): void {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return;
    switch (this.#mode) {
      case 'first_name':
        return byte === CLOSE_BRACE ? this.#close() : this.#beginName(byte);
      case 'next_name':
        return this.#beginName(byte);
      case 'first_item':
        return byte === CLOSE_BRACKET ? this.#close() : this.#beginValue(byte);
      case 'colon':
        if (byte === COLON) this.#mode = 'value';
        else this.#isDone = true;
        return;
      case 'after_value':
        return this.#stepAfterValue(byte);
      default:
        return this.#beginValue(byte);
    }
  }

  #stepAfterValue(byte: number): void {
    const inArray = this.#match.inArray;
    if (byte === (inArray ? CLOSE_BRACKET : CLOSE_BRACE)) return this.#close();
    if (byte !== COMMA) {
      this.#isDone = true;
      return;
    }
    if (inArray) this.#match.nextItem();
    this.#mode = inArray ? 'value' : 'next_name';
  }

  #beginName(byte: number): void {
    if (byte !== QUOTE) this.#isDone = true;
    else this.#beginString(true);
  }

  #beginValue(byte: number): void {
    if (byte === QUOTE) return this.#beginString(false);
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) return this.#open(byte === OPEN_BRACKET);
    if (!isLiteralByte(byte)) {
      this.#isDone = true;
      return;
    }
    this.#collects = this.#match.wantsValue();
    this.#token = this.#collects ? [byte] : [];
    this.#mode = 'literal';
  }

  #open(isArray: boolean): void {
    if (this.#match.depth >= MAX_DEPTH) {
      this.#isDone = true;
      return;
    }
    this.#match.open(isArray);
    this.#mode = isArray ? 'first_item' : 'first_name';
    this.#stopWhenDecided();
  }

  #close(): void {
    this.#match.close();
    this.#valueEnded();
  }

  #beginString(isName: boolean): void {
    this.#isName = isName;
    this.#collects = isName ? this.#match.wantsName() : this.#match.wantsValue();
    this.#token = [];
    this.#mode = 'string';
  }

  #stepString(byte: number): void {
    if (byte === BACKSLASH) {
      this.#mode = 'escape';
      return;
    }
    if (byte === QUOTE) return this.#endString();
    this.#flushSurrogate();
    if (this.#collects) this.#token.push(byte);
  }

  #stepEscape(byte: number): void {
    if (byte === 0x75) {
      this.#codeUnit = 0;
      this.#codeUnitDigits = 0;
      this.#mode = 'unicode';
      return;
    }
    const plain = ESCAPES.get(byte);
    if (plain === undefined) {
      this.#isDone = true;
      return;
    }
    this.#flushSurrogate();
    if (this.#collects) this.#token.push(plain);
    this.#mode = 'string';
  }

  #stepUnicode(byte: number): void {
    const digit = Number.parseInt(String.fromCharCode(byte), 16);
    if (Number.isNaN(digit)) {
      this.#isDone = true;
      return;
    }
    this.#codeUnit = this.#codeUnit * 16 + digit;
    this.#codeUnitDigits += 1;
    if (this.#codeUnitDigits < 4) return;
    this.#mode = 'string';
    this.#pushCodeUnit(this.#codeUnit);
  }

  #pushCodeUnit(unit: number): void {
    if (unit >= 0xdc00 && unit <= 0xdfff && this.#highSurrogate !== 0) {
      const point = 0x10000 + ((this.#highSurrogate - 0xd800) << 10) + (unit - 0xdc00);
      this.#highSurrogate = 0;
      this.#pushText(String.fromCodePoint(point));
      return;
    }
    this.#flushSurrogate();
    if (unit >= 0xd800 && unit <= 0xdbff) this.#highSurrogate = unit;
    else this.#pushText(String.fromCharCode(unit));
  }

  /** A lone surrogate has no UTF-8 form; it becomes U+FFFD, as every UTF-8 encoder makes it. */
  #flushSurrogate(): void {
    if (this.#highSurrogate === 0) return;
    this.#highSurrogate = 0;
    this.#pushText('\ufffd');
  }

  #pushText(text: string): void {
    if (this.#collects) this.#token.push(...encoder.encode(text));
  }

  #endString(): void {
    this.#flushSurrogate();
    const bytes = Uint8Array.from(this.#token);
    if (this.#isName) {
      this.#match.name(decoder.decode(bytes));
      this.#mode = 'colon';
      return;
    }
    this.#match.scalar(bytes);
    this.#valueEnded();
  }

  #endLiteral(): void {
    const bytes = Uint8Array.from(this.#token);
    this.#match.scalar(decoder.decode(bytes) === 'null' ? null : bytes);
    this.#valueEnded();
  }

  #valueEnded(): void {
    this.#mode = 'after_value';
    if (this.#match.depth === 0) this.#isDone = true;
    else this.#stopWhenDecided();
  }

  #stopWhenDecided(): void {
    if (!this.#refuseDuplicates && this.#match.isDecided) this.#isDone = true;
  }
}

const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

function isLiteralByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e
  );
}
