import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import xxhash from 'xxhash-wasm';
import { fractionOf, newU64, SEED_ZERO, type U64, xxh64, xxh64Text } from '../../src/routing/hash.ts';
import { xxh64Reference } from '../rig/xxh64-reference.ts';

const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../golden/xxh64.json'), 'utf8')) as {
  seeds: string[];
  hashes: string[][];
};
const MASK = 0xffff_ffffn;

const split = (n: bigint): U64 => ({ hi: Number(n >> 32n), lo: Number(n & MASK) });
const join64 = ({ hi, lo }: U64): bigint => (BigInt(hi) << 32n) | BigInt(lo);
const hex = (n: bigint): string => n.toString(16).padStart(16, '0');
const hashOf = (bytes: Uint8Array, seed = 0n): bigint =>
  join64(xxh64(bytes, bytes.length, split(seed), newU64()));

t.test('published vectors come out: texts that other implementations test with', async (t) => {
  const published: readonly (readonly [string, string])[] = [
    ['', 'ef46db3751d8e999'],
    ['a', 'd24ec4f1a98c6e5b'],
    ['as', '1c330fb2d66be179'],
    ['asd', '631c37ce72a97393'],
    ['asdf', '415872f599cea71e'],
    ['abc', '44bc2cf5ad770999'],
    ['Call me Ishmael. Some years ago--never mind how long precisely-', '02a2e85470d6fd96'],
  ];
  for (const [text, expected] of published) {
    t.equal(hex(join64(xxh64Text(text))), expected, text.slice(0, 16));
  }
});

t.test("published vectors come out: the generated buffer of xxHash's own sanity check", async (t) => {
  const prime32 = 2_654_435_761n;
  const buffer = new Uint8Array(222);
  let generator = prime32;
  for (let i = 0; i < buffer.length; i++) {
    buffer[i] = Number(generator >> 56n);
    generator = BigInt.asUintN(64, generator * 11_400_714_785_074_694_797n);
  }
  const published: readonly (readonly [number, bigint, string])[] = [
    [0, 0n, 'ef46db3751d8e999'],
    [0, prime32, 'ac75fda2929b17ef'],
    [1, 0n, 'e934a84adb052768'],
    [1, prime32, '5014607643a9b4c3'],
    [4, 0n, '9136a0dca57457ee'],
    [14, 0n, '8282dcc4994e35c8'],
    [14, prime32, 'c3bd6bf63deb6df0'],
    [222, 0n, 'b641ae8cb691c174'],
    [222, prime32, '20cb8ab7ae10c14a'],
  ];
  for (const [length, seed, expected] of published) {
    t.equal(hex(hashOf(buffer.subarray(0, length), seed)), expected, `${length} bytes, seed ${seed}`);
  }
});

t.test('every length from 0 to 100 comes out as pinned, under three seeds', async (t) => {
  const got = golden.hashes.map((_, length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + 7) % 256);
    return golden.seeds.map((seed) => hex(hashOf(bytes, BigInt(seed))));
  });
  t.equal(golden.hashes.length, 101);
  t.strictSame(got, golden.hashes);
});

t.test('random bytes and seeds hash as xxhash-wasm and the specification hash them', async () => {
  const { h64Raw } = await xxhash();
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (bytes, seed) => {
        const own = hashOf(bytes, seed);
        return own === h64Raw(bytes, seed) && own === xxh64Reference(bytes, seed);
      },
    ),
    { numRuns: 500 },
  );
});

t.test('only the first bytes that are asked for count', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 80 }), (head, rest) => {
      const both = Uint8Array.from([...head, ...rest]);
      return join64(xxh64(both, head.length, SEED_ZERO, newU64())) === hashOf(head);
    }),
  );
});

t.test('halves are unsigned, and the caller keeps its own result', async (t) => {
  const first = newU64();
  t.equal(xxh64(new Uint8Array([1]), 1, SEED_ZERO, first), first, 'returns the register it was given');
  const before = { ...first };
  xxh64(new Uint8Array([2]), 1, SEED_ZERO, newU64());
  t.strictSame(first, before, 'a later hash writes elsewhere');
  for (let i = 0; i < 200; i++) {
    const { hi, lo } = xxh64(Uint8Array.of(i), 1, SEED_ZERO, newU64());
    if (hi < 0 || lo < 0 || hi > 0xffff_ffff || lo > 0xffff_ffff) t.fail(`halves of ${i} are ${hi}, ${lo}`);
  }
});

t.test('the place on the unit interval is below 1 and keeps the order of hashes', async (t) => {
  t.equal(fractionOf({ hi: 0, lo: 0 }), 0);
  t.equal(fractionOf({ hi: 0x8000_0000, lo: 0 }), 0.5);
  t.ok(
    fractionOf({ hi: 0xffff_ffff, lo: 0xffff_ffff }) < 1,
    'the largest hash is not 1: it would never be below a share of 100 %',
  );
  const anyU64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(anyU64, anyU64, (a, b) => {
      const x = fractionOf(split(a));
      const y = fractionOf(split(b));
      return x >= 0 && x < 1 && (a < b ? x <= y : y <= x);
    }),
  );
});
