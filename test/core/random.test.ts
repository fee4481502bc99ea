import fc from 'fast-check';
import t from 'tap';
import { hex64, seededRandom, systemRandom } from '../../src/core/random.ts';

/** xoshiro128** and SplitMix32 written with BigInt from their authors' C, to compare with. */
function* referenceDraws(seed: number): Generator<number> {
  const u32 = (n: bigint): bigint => BigInt.asUintN(32, n);
  const rotl = (n: bigint, bits: bigint): bigint => u32((n << bits) | (n >> (32n - bits)));
  let mix = BigInt(seed);
  const split = (): bigint => {
    mix = u32(mix + 0x9e3779b9n);
    let z = mix;
    z = u32((z ^ (z >> 16n)) * 0x21f0aaadn);
    z = u32((z ^ (z >> 15n)) * 0x735a2d97n);
    return z ^ (z >> 15n);
  };
  const s = [split(), split(), split(), split() | 1n] as [bigint, bigint, bigint, bigint];
  for (;;) {
    yield Number(u32(rotl(u32(s[1] * 5n), 7n) * 9n));
    const t = u32(s[1] << 9n);
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
  }
}

t.test('a seed gives the sequence of xoshiro128** on every machine', async (t) => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), (seed) => {
      const random = seededRandom(seed);
      const reference = referenceDraws(seed);
      return Array.from({ length: 50 }).every(() => random.u32() === reference.next().value);
    }),
  );
  const { u32 } = seededRandom(1);
  t.strictSame([u32(), u32(), u32()], [...referenceDraws(1).take(3)]);
});

t.test('draws fill the unit interval evenly and never reach 1', async (t) => {
  const random = seededRandom(7);
  const buckets = new Array<number>(16).fill(0);
  const draws = 64_000;
  for (let i = 0; i < draws; i++) {
    const x = random.next();
    if (x < 0 || x >= 1) t.fail(`drew ${x}`);
    buckets[Math.floor(x * 16)]! += 1;
  }
  const expected = draws / 16;
  const chiSquare = buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 15 degrees of freedom: 99.99 % of fair generators stay below 44.
  t.ok(chiSquare < 44, `chi-square ${chiSquare.toFixed(1)}`);
});

t.test('64 bits of randomness are sixteen lower-case digits, zeros kept', async (t) => {
  const random = seededRandom(3);
  for (let i = 0; i < 5000; i++) {
    const text = hex64(random);
    if (!/^[0-9a-f]{16}$/.test(text)) t.fail(text);
  }
  t.equal(hex64({ u32: () => 0, next: () => 0 }), '0000000000000000');
});

t.test("a process's generator starts from 128 bits of the system's, not from 32", async (t) => {
  const asked: number[] = [];
  const { u32 } = systemRandom((size) => {
    asked.push(size);
    return Buffer.alloc(size, 7);
  });
  t.strictSame(asked, [16], 'with 32 bits, 77,000 worker starts would make two with the same request ids');
  t.not(u32(), seededRandom(0x07070707).u32());
  t.not(systemRandom().u32(), systemRandom().u32());
  const zero = systemRandom((size) => Buffer.alloc(size));
  t.ok(
    [zero.u32(), zero.u32(), zero.u32(), zero.u32()].some((n) => n !== 0),
    'not stuck at zero',
  );
});
