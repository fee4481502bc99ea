import fc from 'fast-check';
import t from 'tap';
import {
  type BodyDecoder,
  ChunkedDecoder,
  LengthDecoder,
  UntilCloseDecoder,
} from '../../../src/proxy/http1/body-decoder.ts';

const RUNS = { numRuns: 3000, seed: 20_261_126 };
const LIMITS = { trailerFields: 3 };

interface Outcome {
  readonly content: string;
  readonly isDone: boolean;
  readonly hasFault: boolean;
  /** Bytes that belonged to the body; unknown behind a fault. */
  readonly taken: number;
  readonly trailers: string;
}

/** Feeds a body in pieces; a sink that says no gets the rest of the piece again, as a connection does it. */
function decode(decoder: BodyDecoder, pieces: readonly Buffer[], holds: (chunk: number) => boolean): Outcome {
  let content = '';
  let taken = 0;
  let chunks = 0;
  const outcome = (hasFault: boolean): Outcome => ({
    content,
    isDone: decoder.isDone,
    hasFault,
    taken: hasFault ? -1 : taken,
    trailers: decoder.trailers.join('|'),
  });
  for (const piece of pieces) {
    for (let at = 0; at < piece.length && !decoder.isDone; ) {
      const result = decoder.decode(piece, at, piece.length, (bytes) => {
        content += bytes.toString('latin1');
        return !holds(chunks++);
      });
      if ('fault' in result) return outcome(true);
      at += result.taken;
      taken += result.taken;
      if (result.taken === 0) throw new Error('nothing was taken');
    }
  }
  return outcome(false);
}

// RFC 9112, 7.1, once more: as a pattern for each line.
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const EXTENSIONS = `(?:[\\t ]*;[\\t ]*${TOKEN}(?:[\\t ]*=[\\t ]*(?:${TOKEN}|${QUOTED}))?)*`;
const SIZE_LINE = new RegExp(`^([0-9a-fA-F]{1,14})(${EXTENSIONS})$`);
const FIELD = new RegExp(`^${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*$`);

/** What a whole chunked body at the start of `text` says; undefined when there is none. */
function reference(text: string): { content: string; size: number; trailers: number } | undefined {
  let at = 0;
  let content = '';
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const match = end === -1 ? null : SIZE_LINE.exec(text.slice(at, end));
    // A space before a semicolon is in the grammar, and of no use to anyone: refused here.
    if (match === null || /^[\t ]/.test(match[2]!)) return undefined;
    const size = Number.parseInt(match[1]!, 16);
    at = end + 2;
    if (size === 0) break;
    content += text.slice(at, at + size);
    at += size;
    if (text.slice(at, at + 2) !== '\r\n') return undefined;
    at += 2;
  }
  for (let trailers = 0; ; trailers++) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return undefined;
    if (end === at) return { content, size: end + 2, trailers };
    if (!FIELD.test(text.slice(at, end))) return undefined;
    at = end + 2;
  }
}

const extension = fc.constantFrom(
  '',
  '',
  '',
  ';a',
  ';a=b',
  '; a = "q\\"x"',
  ';a;b="\xe9"',
  ';',
  ';=',
  ';a="',
  ' ;a',
  ';a=\0',
);
const chunk = fc
  .tuple(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }), extension)
  .map(([data, ext]) => `${data.length.toString(16)}${ext}\r\n${data}\r\n`);
const trailer = fc.constantFrom(
  '',
  '',
  'x: 1\r\n',
  'x: 1\r\nY: 2\r\n',
  'x\r\n',
  'x: 1\n',
  ' x: 1\r\n',
  'a:\r\n'.repeat(4),
);
const whole = fc
  .tuple(
    fc.array(chunk, { maxLength: 5 }),
    fc.constantFrom('0', '00', '0;z'),
    trailer,
    fc.constantFrom('', 'GET / HTTP/1.1\r\n'),
  )
  .map(([chunks, last, trailers, rest]) => `${chunks.join('')}${last}\r\n${trailers}\r\n${rest}`);
const edit = fc.tuple(fc.nat(60), fc.constantFrom('', '\r', '\n', 'x', '0', ';', ' ', '\0', '\xff'));
const body = fc
  .tuple(whole, fc.array(edit, { maxLength: 2 }))
  .map(([text, edits]) =>
    edits.reduce<string>(
      (so, [at, what]) => so.slice(0, at) + what + so.slice(what === '' ? at + 1 : at),
      text,
    ),
  );
const cuts = fc.array(fc.nat(120), { maxLength: 12 });

function piecesOf(text: string, at: readonly number[]): Buffer[] {
  const marks = [0, ...new Set([...at].filter((cut) => cut < text.length)), text.length].sort(
    (a, b) => a - b,
  );
  return marks.slice(1).map((end, i) => Buffer.from(text.slice(marks[i]!, end), 'latin1'));
}

t.test('chunks: what is taken as whole is whole by the grammar, and the other way round', async (t) => {
  let taken = 0;
  fc.assert(
    fc.property(body, (text) => {
      const expected = reference(text);
      const got = decode(new ChunkedDecoder(LIMITS), [Buffer.from(text, 'latin1')], () => false);
      if (expected === undefined || expected.trailers > LIMITS.trailerFields) return !got.isDone;
      taken += 1;
      return got.isDone && got.content === expected.content && got.taken === expected.size;
    }),
    RUNS,
  );
  t.ok(taken > RUNS.numRuns / 10, `${taken} bodies were whole`);
});

t.test('chunks: however the bytes are cut, and whoever holds them up, the result is the same', async (t) => {
  fc.assert(
    fc.property(body, cuts, fc.infiniteStream(fc.boolean()), (text, at, holds) => {
      const once = decode(new ChunkedDecoder(LIMITS), [Buffer.from(text, 'latin1')], () => false);
      const cut = decode(new ChunkedDecoder(LIMITS), piecesOf(text, at), () => holds.next().value!);
      const single = decode(
        new ChunkedDecoder(LIMITS),
        piecesOf(
          text,
          Array.from({ length: text.length }, (_, i) => i),
        ),
        () => false,
      );
      return [cut, single].every((other) => JSON.stringify(other) === JSON.stringify(once));
    }),
    RUNS,
  );
  t.pass();
});

t.test('a length takes exactly its bytes; a body until the end takes all', async (t) => {
  fc.assert(
    fc.property(fc.nat(60), cuts, fc.infiniteStream(fc.boolean()), (length, at, holds) => {
      const text = 'x'.repeat(50);
      const got = decode(new LengthDecoder(length), piecesOf(text, at), () => holds.next().value!);
      const expected = Math.min(length, text.length);
      return (
        got.content.length === expected && got.taken === expected && got.isDone === length <= text.length
      );
    }),
    RUNS,
  );
  const open = new UntilCloseDecoder();
  t.equal(decode(open, piecesOf('hello', [2]), () => false).content, 'hello');
  t.equal(open.isDone, false);
  t.equal(open.endsWithConnection(), true);
});
