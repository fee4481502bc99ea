import fc from 'fast-check';
import t from 'tap';
import {
  formatDuration,
  formatSize,
  type Parsed,
  parseDuration,
  parseShare,
  parseSize,
} from '../../src/core/units.ts';

const numberOf = (parsed: Parsed): number | string => (parsed.ok ? parsed.value : 'refused');

t.test('durations are read in every unit and come out in milliseconds', async (t) => {
  const cases: readonly (readonly [string, number | string])[] = [
    ['250ms', 250],
    ['5s', 5000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['14d', 1_209_600_000],
    ['1.5s', 1500],
    // 2.01 x 1000 is 2009.9999999999998 in binary.
    ['2.01s', 2010],
    ['0.25ms', 0.25],
    ['0', 0],
    ['0s', 0],
    [' 5s ', 5000],
    ['5 s', 5000],
    ['5', 'refused'],
    ['', 'refused'],
    ['s', 'refused'],
    ['-5s', 'refused'],
    ['5S', 'refused'],
    ['5s5', 'refused'],
    ['1e3s', 'refused'],
    ['Infinityms', 'refused'],
    ['5constructor', 'refused'],
    ['99999999999999999999d', 'refused'],
  ];
  for (const [text, expected] of cases) t.equal(numberOf(parseDuration(text)), expected, `'${text}'`);
});

t.test('sizes are read in powers of 1024 and are whole bytes', async (t) => {
  const cases: readonly (readonly [string, number | string])[] = [
    ['512B', 512],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
    ['0', 0],
    ['1.5KiB', 1536],
    // A buffer cannot have four tenths of a byte.
    ['1.1KiB', 1126],
    ['64KB', 'refused'],
    ['64kib', 'refused'],
    ['64', 'refused'],
    ['toString', 'refused'],
  ];
  for (const [text, expected] of cases) t.equal(numberOf(parseSize(text)), expected, `'${text}'`);
});

t.test('shares are read as percent and as fractions', async (t) => {
  const cases: readonly (readonly [string, number | string])[] = [
    ['20%', 0.2],
    ['0.2', 0.2],
    ['100%', 1],
    ['250%', 2.5],
    ['0', 0],
    ['7 %', 0.07],
    ['%', 'refused'],
    ['-1%', 'refused'],
    ['1e-3', 'refused'],
    ['.5', 'refused'],
    ['20%%', 'refused'],
  ];
  for (const [text, expected] of cases) t.equal(numberOf(parseShare(text)), expected, `'${text}'`);
});

t.test('what is formatted can be read back, and is the shortest exact form', async (t) => {
  fc.assert(
    fc.property(fc.nat(10_000_000_000), (n) => {
      return numberOf(parseDuration(formatDuration(n))) === n && numberOf(parseSize(formatSize(n))) === n;
    }),
  );
  t.equal(formatDuration(90_000), '90s');
  t.equal(formatDuration(120_000), '2m');
  t.equal(formatDuration(86_400_000), '1d');
  t.equal(formatDuration(1001), '1001ms');
  t.equal(formatSize(65_536), '64KiB');
  t.equal(formatSize(65_537), '65537B');
});

t.test('no text makes a parser throw or yield something that is no number', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{1,30}[a-zA-Z%]{0,3}$/)), (text) =>
      [parseDuration, parseSize, parseShare].every((parse) => {
        const parsed = parse(text);
        return parsed.ok ? Number.isFinite(parsed.value) && parsed.value >= 0 : parsed.allowed !== '';
      }),
    ),
    { numRuns: 2000 },
  );
});
