import fc from 'fast-check';
import t from 'tap';
import { PROXY_DOCUMENT } from '../../src/config/document.ts';
import { loadConfig } from '../../src/config/load.ts';
import { nearestTo, plainOf, readYamlTree } from '../../src/config/yaml-tree.ts';
import { LEAST, problemsOf, variable } from './load-text.ts';

function read(text: string) {
  const { root, findings, position } = readYamlTree(text, {});
  const problems = findings.map(({ at, message }) => {
    const { line, column } = position(at);
    return `${line}:${column} ${message}`;
  });
  return { plain: root === null ? null : plainOf(root), problems, root, position };
}

t.test('a tree knows where each value stands, through anchors and merges', async (t) => {
  const { root, plain, position } = read(`base: &base { a: 1, b: [x, y] }
mine:
  <<: *base
  a: 2
list: [ *base, { <<: [ { c: 1 }, { c: 2, d: 3 } ] } ]
`);
  t.strictSame(plain, {
    base: { a: 1, b: ['x', 'y'] },
    mine: { a: 2, b: ['x', 'y'] },
    list: [
      { a: 1, b: ['x', 'y'] },
      { c: 1, d: 3 },
    ],
  });
  const place = (...path: (string | number)[]) => {
    const { tree, isExact } = nearestTo(root!, path);
    return { ...position(tree.valueAt), isExact };
  };
  t.strictSame(place('mine', 'a'), { line: 4, column: 6, isExact: true });
  t.strictSame(
    place('mine', 'b', 1),
    { line: 1, column: 28, isExact: true },
    'a merged value stands where it was written',
  );
  t.strictSame(place('list', 0), { line: 5, column: 9, isExact: true }, 'an alias stands where it is used');
  t.strictSame(place('mine', 'nothing'), { line: 3, column: 3, isExact: false });
});

t.test('scalars are those of YAML 1.2, keys are text', async (t) => {
  t.strictSame(read('{ a: yes, b: 0x10, c: 1e3, d: ~, e: "1", 5: x, true: y }').plain, {
    a: 'yes',
    b: 16,
    c: 1000,
    d: null,
    e: '1',
    5: 'x',
    true: 'y',
  });
  t.strictSame(
    read('%YAML 1.1\n---\na: yes\n').plain,
    { a: 'yes' },
    'a directive does not change the language',
  );
  t.strictSame(
    read('constructor: 1\ntoString: 2\n').plain,
    Object.fromEntries([
      ['constructor', 1],
      ['toString', 2],
    ]),
  );
});

t.test('what could mean two things is refused', async (t) => {
  t.strictSame(read('a: 1\nb: 2\na: 3\n').problems, ['3:1 a: given twice; the first one is in line 1']);
  t.strictSame(read('{ 1: a, "1": b }').problems, ['1:9 1: given twice; the first one is in line 1']);
  t.strictSame(read('a: 1\n---\nb: 2\n').problems, [
    '2:1 a second document (---) begins here; the file must hold one',
  ]);
  t.match(read('a: !!binary aGk=\nb: !mine x\n').problems, [/^1:4 tags other than/, /^2:4 tags other than/]);
  t.match(read('? [a]\n: 1\n').problems, ['1:3 a key must be plain text']);
  t.match(read('a: { __proto__: { b: 1 } }').problems, ['1:6 a: the key __proto__ is not allowed']);
  t.match(read('a: *b\nb: &b 1\n').problems, ['1:4 a: there is no anchor &b before this alias']);
  t.match(read('a: &a [ *a ]').problems, ['1:9 a[0]: the alias *a stands inside its own anchor']);
  t.match(read('<<: 5').problems, ['1:1 << must be followed by mappings or aliases of some, given "5"']);
});

t.test('mistakes of YAML are said in our words, one a line, without the text around them', async (t) => {
  t.match(read('a: [1, 2\nb: 3\n').problems[0], /^2:1 /);
  t.match(read('\ta: 1\n').problems, ['1:1 a tab indents this line; only spaces may']);
  t.match(read('a: "\\q"\n').problems, ['1:5 no such escape']);
  t.match(read('a: b: c\n').problems, ['1:4 a mapping cannot stand on the same line']);
  t.match(read(`a: { b: ${variable('C')} }\n`).problems, [/^1:10 .*; inside \{ \} or \[ \], a value with/]);
  t.equal(read('a: "x" y: "z" w\n'.repeat(50)).problems.length, 20, 'and at most twenty');
});

t.test('a small file cannot become a large one', async (t) => {
  const laughs = ['a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'];
  for (let i = 1; i < 10; i++)
    laughs.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  const { problems } = read(laughs.join('\n'));
  t.equal(problems.length, 1, 'said once');
  t.match(problems[0], 'the file has more than 500000 values, aliases followed');
  t.match(read('['.repeat(40) + ']'.repeat(40)).problems, [/nested deeper than 32 levels/]);
  t.match(read('['.repeat(50_000)).problems[0], /nested too deeply/);
  const merges = ['m0: &m0 { k: 1 }'];
  for (let i = 1; i < 40; i++) merges.push(`m${i}: &m${i} { <<: [*m${i - 1}, *m${i - 1}] }`);
  t.match(read(merges.join('\n')).problems[0], 'more than 500000 values', 'merges of merges count too');
});

// Pieces of YAML that strange files are made of, and of our own keys, so that a part gets past the parser.
const piece = fc.constantFrom(
  ...[
    'listen',
    'regions',
    'routes',
    'id',
    'servers',
    'key',
    'from',
    'address',
    'pae',
    'mode',
    'control',
    'token',
  ],
  ...[
    ': ',
    ':\n  ',
    '- ',
    '\n',
    '\n  ',
    '\n    ',
    '{ ',
    ' }',
    '[ ',
    ' ]',
    ', ',
    '"',
    "'",
    '|\n',
    '>\n',
    '? ',
    '#',
  ],
  ...[
    '&a ',
    '*a',
    '<<: *a',
    '!!str ',
    '!x ',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '\t',
    '\r\n',
    '\0',
    '\ufeff',
    '💥',
  ],
  ...['127.0.0.1:1', 'http://a:1', '5s', '20%', '0', '-1', '1e999', '.nan', '~', 'true', '__proto__'],
  ...[variable('A'), variable('B:-x'), '$' + '{', '$$' + '{'],
);

function holds(text: string): void {
  const lines = text.split('\n');
  const loaded = loadConfig({ path: 'f', text, env: { A: '7' } }, PROXY_DOCUMENT);
  const problems = loaded.ok ? loaded.warnings : loaded.problems;
  if (!loaded.ok && problems.every(({ severity }) => severity === 'warning'))
    throw new Error('refused without an error');
  for (const { line, column, message } of problems) {
    const inside = line >= 1 && line <= lines.length && column >= 1 && column <= lines[line - 1]!.length + 1;
    if (!inside) throw new Error(`${line}:${column} is outside the file: ${message}`);
    if (
      /invalid input|undefined|\[object|NaN\b.*given NaN/i.test(message) &&
      !/given .*undefined/.test(message)
    ) {
      throw new Error(`says nothing: ${message}`);
    }
    if (message.includes('\n')) throw new Error(`is more than a line: ${message}`);
  }
}

t.test('no text throws, and every problem stands inside the file', async () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => holds(pieces.join(''))),
    { numRuns: 1000 },
  );
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), holds), { numRuns: 300 });
});

const GOOD = `${LEAST}workers: 2
control:
  address: 127.0.0.1:9090
  token: &token ${variable('A')}-0123456789abcdef
routes:
  - id: a
    match: { host: "*.example.com", path: /a/**, methods: [GET], headers: { x-a: "1" } }
    key: { from: [ { header: x }, clientIp ], perType: { search: [ { query: q } ] } }
    retry: { on: [502, connect], budget: 20% }
    regions: [east, west]
limits: { headerBytes: 16KiB }
`;

t.test('no small change to a good file throws, and every problem stands inside it', async (t) => {
  t.strictSame(problemsOf(GOOD, { A: '7' }), []);
  const change = fc.record({
    at: fc.nat(GOOD.length),
    removed: fc.nat(12),
    inserted: fc.oneof(piece, fc.string({ maxLength: 6 })),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      let text = GOOD;
      for (const { at, removed, inserted } of changes)
        text = text.slice(0, at) + inserted + text.slice(at + removed);
      holds(text);
    }),
    { numRuns: 1200 },
  );
});

t.test('no bytes throw', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      loadConfig({ path: 'f', text: bytes, env: {} }, PROXY_DOCUMENT);
    }),
    { numRuns: 300 },
  );
});
