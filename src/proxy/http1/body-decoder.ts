// Where a body ends: by length, by chunks, or with the connection. Takes bytes as they come, gives the
// content to a sink without copying, and says how many bytes belonged to the message; what follows is not
// its business. Pure state machines; limits on everything that is not content.

import { type Fault, parseTrailers } from './head.ts';

/** Gets the content; bytes are valid during the call only. @returns false to be held off. */
export type ContentSink = (bytes: Buffer) => boolean;

/** `taken`: bytes consumed. `isHeld`: the sink said no; nothing behind what it got was consumed. */
export interface Decoded {
  readonly taken: number;
  readonly isHeld: boolean;
}

export interface BodyDecoder {
  /** True when the message is complete. */
  readonly isDone: boolean;
  /** Fields behind the last chunk. */
  readonly trailers: readonly string[];
  /** Consumes from `bytes` between `from` and `to` until done, held or out of bytes. */
  decode(bytes: Buffer, from: number, to: number, sink: ContentSink): Decoded | Fault;
  /** The connection has ended: may the message end with it? */
  endsWithConnection(): boolean;
}

const NO_FIELDS: readonly string[] = [];

export class LengthDecoder implements BodyDecoder {
  readonly trailers = NO_FIELDS;
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  decode(bytes: Buffer, from: number, to: number, sink: ContentSink): Decoded {
    const size = Math.min(this.#left, to - from);
    if (size === 0) return { taken: 0, isHeld: false };
    this.#left -= size;
    const goesOn = sink(size === bytes.length ? bytes : bytes.subarray(from, from + size));
    return { taken: size, isHeld: !goesOn };
  }

  endsWithConnection(): boolean {
    return false;
  }
}

/** For answers without length or chunks: everything until the connection ends (RFC 9112, 6.3). */
export class UntilCloseDecoder implements BodyDecoder {
  readonly trailers = NO_FIELDS;
  readonly isDone = false;

  decode(bytes: Buffer, from: number, to: number, sink: ContentSink): Decoded {
    if (from === to) return { taken: 0, isHeld: false };
    return { taken: to - from, isHeld: !sink(bytes.subarray(from, to)) };
  }

  endsWithConnection(): boolean {
    return true;
  }
}

export interface ChunkLimits {
  /** Fields of the trailer section. */
  readonly trailerFields: number;
}

// All extensions of a message together: they mean nothing to us, and a stream of one-byte chunks with long
// ones would be work without content.
const MAX_EXTENSION_BYTES = 16_384;
// A size line without extension: fourteen hexadecimal digits are more than any length we count.
const MAX_SIZE_DIGITS = 14;
const MAX_TRAILER_BYTES = 16_384;

// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) behind its first semicolon (RFC 9112, 7.1.1).
// They are dropped, yet one that others could read as the end of the line must not pass for understood.
const EXTENSIONS = (() => {
  const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
  const quoted = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
  const extension = `[\\t ]*${token}(?:[\\t ]*=[\\t ]*(?:${token}|${quoted}))?`;
  return new RegExp(`^${extension}(?:[\\t ]*;${extension})*$`);
})();

type ChunkState = 'size' | 'extension' | 'size_lf' | 'data' | 'data_cr' | 'data_lf' | 'trailer' | 'done';

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

export class ChunkedDecoder implements BodyDecoder {
  readonly #limits: ChunkLimits;
  #state: ChunkState = 'size';
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #extensionText = '';
  #trailerText = '';
  trailers: readonly string[] = NO_FIELDS;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  endsWithConnection(): boolean {
    return false;
  }

  decode(bytes: Buffer, from: number, to: number, sink: ContentSink): Decoded | Fault {
    let at = from;
    while (at < to && this.#state !== 'done') {
      if (this.#state === 'data') {
        const size = Math.min(this.#size, to - at);
        this.#size -= size;
        if (this.#size === 0) this.#state = 'data_cr';
        const goesOn = sink(bytes.subarray(at, at + size));
        at += size;
        if (!goesOn) return { taken: at - from, isHeld: true };
        continue;
      }
      const broken =
        this.#state === 'trailer' ? this.#takeTrailer(bytes[at]!) : this.#takeFraming(bytes[at]!);
      if (broken !== undefined) return { fault: broken };
      at += 1;
    }
    return { taken: at - from, isHeld: false };
  }

  /** One byte around the data. @returns the broken rule. */
  #takeFraming(byte: number): string | undefined {
    switch (this.#state) {
      case 'size':
        return this.#takeSize(byte);
      case 'extension':
        this.#extensionBytes += 1;
        if (this.#extensionBytes > MAX_EXTENSION_BYTES) return 'chunk extensions are too long';
        if (byte !== CR) {
          this.#extensionText += String.fromCharCode(byte);
          return undefined;
        }
        if (!EXTENSIONS.test(this.#extensionText)) return 'a chunk extension is malformed';
        this.#extensionText = '';
        this.#state = 'size_lf';
        return undefined;
      case 'size_lf':
        if (byte !== LF) return 'a chunk size line does not end with CRLF';
        this.#digits = 0;
        this.#state = this.#size === 0 ? 'trailer' : 'data';
        return undefined;
      case 'data_cr':
        if (byte !== CR) return 'a chunk is longer than its size';
        this.#state = 'data_lf';
        return undefined;
      case 'data_lf':
        if (byte !== LF) return 'a chunk does not end with CRLF';
        this.#state = 'size';
        return undefined;
      default:
        return 'unexpected bytes';
    }
  }

  #takeSize(byte: number): string | undefined {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      this.#digits += 1;
      if (this.#digits > MAX_SIZE_DIGITS) return 'a chunk size is too long';
      // Multiplied, not shifted: sizes beyond 2^31 are numbers too.
      this.#size = this.#digits === 1 ? digit : this.#size * 16 + digit;
      return this.#size > Number.MAX_SAFE_INTEGER ? 'a chunk size is too large' : undefined;
    }
    if (this.#digits === 0) return 'a chunk size is missing';
    if (byte === CR) this.#state = 'size_lf';
    else if (byte === SEMICOLON) this.#state = 'extension';
    else return 'a chunk size is not hexadecimal';
    return undefined;
  }

  #takeTrailer(byte: number): string | undefined {
    this.#trailerText += String.fromCharCode(byte);
    const text = this.#trailerText;
    if (text.length > MAX_TRAILER_BYTES) return 'the trailer section is too long';
    if (byte !== LF) return undefined;
    if (text === '\r\n') {
      this.#state = 'done';
      return undefined;
    }
    if (!text.endsWith('\r\n\r\n'))
      return text.endsWith('\r\n') ? undefined : 'a trailer line does not end with CRLF';
    const fields = parseTrailers(text.slice(0, -4));
    if ('fault' in fields) return `trailer: ${fields.fault}`;
    if (fields.length > this.#limits.trailerFields * 2) return 'too many trailer fields';
    this.trailers = fields;
    this.#state = 'done';
    return undefined;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
