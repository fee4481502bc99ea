import fc from 'fast-check';
import t from 'tap';
import { type Fault, parseHead, parseRequestLine, parseStatusLine } from '../../../src/proxy/http1/head.ts';

const RUNS = { numRuns: 4000, seed: 20_261_126 };
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

// The grammar of RFC 9112 (2.1, 3, 4, 5) and RFC 9110 (5.5) once more, as patterns over whole lines.
const VALUE = '[\\t\\x20-\\x7e\\x80-\\xff]*';
const REQUEST_LINE = new RegExp(`^(${TOKEN}) (${VALUE}) HTTP/1\\.([01])$`);
const STATUS_LINE = new RegExp(`^HTTP/1\\.([01]) ([1-9]\\d\\d)(?: ${VALUE})?$`);
const FIELD = new RegExp(`^(${TOKEN}):(${VALUE})$`);

function referenceHead(text: string): { first: string; fields: string[] } | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  if (!new RegExp(`^${VALUE}$`).test(first)) return undefined;
  const fields: string[] = [];
  for (const line of lines) {
    const match = FIELD.exec(line);
    if (match === null) return undefined;
    fields.push(match[1]!.toLowerCase(), match[2]!.replace(/^[ \t]+|[ \t]+$/g, ''));
  }
  return { first, fields };
}

// Pieces of heads, whole and broken, in any order: near enough to the grammar to fall on both sides of it.
const piece = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('Host', 'x', 'Content-Length', 'a.b_c', 'GET', '/', 'HTTP/1.1', '200'),
  },
  { weight: 3, arbitrary: fc.constantFrom('\r\n', ': ', ':', ' ', '\r\nx: 1', '\r\nHost: a') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('\r', '\n', '\0', '\t', '\x0b', '\x7f', '\x80', '\xff', '\r\n ', ' :', '"'),
  },
);
const text = fc.array(piece, { maxLength: 16 }).map((pieces) => pieces.join(''));
const mutated = fc
  .tuple(
    fc.constantFrom(
      'GET / HTTP/1.1\r\nHost: a\r\nx-user-id:\tcaf\xe9 \r\nAccept: */*',
      'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nset-cookie: a=b; c',
    ),
    fc.array(fc.tuple(fc.nat(70), fc.constantFrom('', '\r', '\n', ' ', ':', '\0', 'x', '\xff', '\x7f')), {
      maxLength: 3,
    }),
  )
  .map(([head, edits]) =>
    edits.reduce<string>(
      (so, [at, what]) => so.slice(0, at) + what + so.slice(what === '' ? at + 1 : at),
      head,
    ),
  );

t.test('heads: exactly what the grammar has is taken, with its meaning, and nothing throws', async (t) => {
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof(text, mutated, fc.string({ unit: 'binary-ascii' })), (head) => {
      const expected = referenceHead(head);
      const parsed = parseHead(head);
      if (expected === undefined) return 'fault' in parsed;
      taken += 1;
      return (
        !('fault' in parsed) &&
        parsed.first === expected.first &&
        parsed.fields.join('|') === expected.fields.join('|')
      );
    }),
    RUNS,
  );
  t.ok(taken > RUNS.numRuns / 20, `${taken} heads were taken`);
});

const line = fc.oneof(
  fc
    .array(fc.constantFrom('GET', 'P', ' ', '/', '/a b', 'HTTP/1.', '0', '1', '2', '\t', '@', 'HTTP/1.1'), {
      maxLength: 8,
    })
    .map((parts) => parts.join('')),
  fc
    .tuple(
      fc.constantFrom('GET', 'POST', 'x-Y', 'G@T', ''),
      fc.constantFrom('/', '/a?b', '', '*', ' '),
      fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/1.11', 'http/1.1'),
    )
    .map((parts) => parts.join(' ')),
);

t.test('first lines: exactly what the grammar has is taken', async (t) => {
  fc.assert(
    fc.property(line, (first) => {
      const expected = REQUEST_LINE.exec(first);
      const parsed = parseRequestLine(first);
      // A method is bounded, and an empty target between two spaces is left for the check of its characters.
      if (expected === null || expected[1]!.length > 32) return 'fault' in parsed;
      if ('fault' in parsed) return expected[2] === '';
      return (
        parsed.method === expected[1] &&
        parsed.target === expected[2] &&
        String(parsed.httpMinor) === expected[3]
      );
    }),
    RUNS,
  );
  const status = fc
    .array(fc.constantFrom('HTTP/1.', '1', '0', ' ', '200', '20', 'OK', '2', 'HTTP/1.1 204', '\t', '-1'), {
      maxLength: 7,
    })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(status, (first) => {
      const expected = STATUS_LINE.exec(first);
      const parsed = parseStatusLine(first);
      if (expected === null) return 'fault' in parsed;
      return (
        !('fault' in parsed) &&
        parsed.status === Number(expected[2]) &&
        String(parsed.httpMinor) === expected[1]
      );
    }),
    RUNS,
  );
  t.match(parseStatusLine('HTTP/1.1 200'), { status: 200 }, 'a phrase may be missing, its space too');
});

t.test('a head of very many lines is refused, not cut', async (t) => {
  t.match((parseHead(`GET / HTTP/1.1${'\r\nx: 1'.repeat(2099)}`) as Fault).fault, undefined);
  t.match((parseHead(`GET / HTTP/1.1${'\r\nx: 1'.repeat(2100)}`) as Fault).fault, /too many lines/);
});
