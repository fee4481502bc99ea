// Holds the architecture of design.md as data: who may import whom, how long a file and a function may
// be, which words and calls have no place. A rule that must change is changed here, in a commit that
// says so.

import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { readSourceTree, type SourceFile } from './source-tree.ts';

const ROOT = join(import.meta.dirname, '..');
const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;

type Rule = Readonly<Record<string, 'values' | 'types'>>;

// Folder -> folders it may import. 'types': only `import type`. One file may be named: 'region/choose-server'.
const MAY_IMPORT: Readonly<Record<string, Rule>> = {
  core: {},
  config: { core: 'values' },
  routing: { core: 'values', config: 'types', plan: 'types' },
  plan: {
    core: 'values',
    'routing/hash': 'values',
    'routing/ring': 'values',
    'routing/shard-table': 'values',
  },
  telemetry: { core: 'values' },
  state: { core: 'values', routing: 'values', plan: 'values', telemetry: 'values' },
  proxy: {
    core: 'values',
    state: 'values',
    routing: 'values',
    'region/choose-server': 'values',
    telemetry: 'values',
  },
  health: { core: 'values', state: 'values', telemetry: 'values' },
  region: { core: 'values', state: 'values', health: 'values', telemetry: 'values' },
  analytics: { core: 'values', telemetry: 'values' },
  control: {
    core: 'values',
    config: 'values',
    state: 'values',
    routing: 'values',
    plan: 'values',
    telemetry: 'values',
    proxy: 'types',
    health: 'types',
    region: 'types',
    analytics: 'types',
    // Schemas of what is posted: the API describes them.
    'analytics/ingest/external-event': 'values',
    'analytics/ingest/telemetry-document': 'values',
    integrations: 'types',
  },
  integrations: { core: 'values', telemetry: 'values' },
};
// compose and cli may import all; nothing imports compose but cli.
const ASSEMBLERS = ['compose', 'cli', 'main.ts'];

// A package that leaks `any`, or that we may want to replace, is known to one file only.
const ONE_FILE_PACKAGES: Readonly<Record<string, string>> = {
  'http-proxy-3': 'src/proxy/upgrade.ts',
  'consistent-hash': 'src/routing/ring.ts',
  arima: 'src/analytics/forecast/sarima.ts',
  '@bsull/augurs-prophet-wasmstan': 'src/analytics/forecast/prophet.ts',
};

// routing/ and plan/ decide: they get clock, randomness and facts as arguments.
const PURE_FOLDERS = ['routing', 'plan'];
const IMPURE_MODULES =
  /^node:(fs|net|http|https|tls|dns|dgram|child_process|worker_threads|timers|sqlite|os)/;

const BANNED_NAMES = /(^|\/)(utils?|helpers?|common|managers?)(\.ts)?(\/|$)/;
const CLOCKS_AND_DICE = /\b(Date\.now|Math\.random|performance\.now|new Date\(\))/;

const sources = readSourceTree(ROOT, 'src');

function folderOf(path: string): string {
  return path.split('/')[1]!;
}

function resolveImport(from: SourceFile, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return normalize(join(dirname(from.path), specifier)).replaceAll('\\', '/');
}

function isAllowed(file: SourceFile, target: string, typeOnly: boolean): boolean {
  const from = folderOf(file.path);
  const to = folderOf(target);
  if (ASSEMBLERS.includes(from)) return to !== 'compose' || from === 'cli' || from === 'compose';
  if (from === to) return true;
  const rule = MAY_IMPORT[from];
  if (rule === undefined) return false;
  const grant = rule[target.replace(/^src\//, '').replace(/\.ts$/, '')] ?? rule[to];
  return grant === 'values' || (grant === 'types' && typeOnly);
}

t.test('folders import only what the design allows them', async (t) => {
  for (const file of sources) {
    for (const { specifier, typeOnly } of file.imports) {
      const target = resolveImport(file, specifier);
      if (target === null) continue;
      t.ok(
        isAllowed(file, target, typeOnly),
        `${file.path} may import ${typeOnly ? 'types of ' : ''}${target}`,
      );
    }
  }
});

t.test('no file imports itself through others', async (t) => {
  const byPath = new Map(sources.map((file) => [file.path, file]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    const file = byPath.get(path);
    for (const edge of file?.imports ?? []) {
      const target = resolveImport(file!, edge.specifier);
      if (target !== null && !edge.typeOnly) visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const file of sources) visit(file.path, []);
  t.strictSame(cycles, []);
});

t.test('deciding folders touch no file, socket, clock or die', async (t) => {
  for (const file of sources.filter((file) => PURE_FOLDERS.includes(folderOf(file.path)))) {
    const impure = file.imports.filter((edge) => IMPURE_MODULES.test(edge.specifier));
    t.strictSame(impure, [], `${file.path} does no I/O`);
  }
  for (const file of sources.filter((file) => folderOf(file.path) !== 'core')) {
    t.notMatch(file.text, CLOCKS_AND_DICE, `${file.path} takes clock and randomness as arguments`);
  }
});

t.test('a package that is hard to live with is imported in one file', async (t) => {
  for (const file of sources) {
    for (const { specifier } of file.imports) {
      const home = ONE_FILE_PACKAGES[specifier];
      if (home !== undefined) t.equal(file.path, home, `${specifier} is known to ${home} only`);
    }
  }
});

t.test('the request walk knows neither IncomingMessage nor undici', async (t) => {
  const walk = sources.filter((file) => file.path === 'src/proxy/handle-request.ts');
  for (const file of walk) {
    const code = file.text.replace(/^\s*(\/\/|\/?\*).*$/gm, '');
    t.notMatch(
      code,
      /IncomingMessage|ServerResponse|undici|node:http/,
      'listener and client stay exchangeable',
    );
  }
});

t.test('files and functions stay short enough to live in', async (t) => {
  for (const file of [...sources, ...readSourceTree(ROOT, 'test'), ...readSourceTree(ROOT, 'bench')]) {
    t.ok(file.lines <= MAX_FILE_LINES, `${file.path} has ${file.lines} lines, at most ${MAX_FILE_LINES}`);
    if (!file.path.startsWith('src/')) continue;
    for (const fn of file.functions) {
      t.ok(fn.lines <= MAX_FUNCTION_LINES, `${file.path}:${fn.line} ${fn.name} has ${fn.lines} lines`);
    }
  }
});

t.test('every source file opens with its job in a few lines, and is no barrel', async (t) => {
  for (const file of sources) {
    t.ok(
      file.headLines >= 1 && file.headLines <= 10,
      `${file.path} opens with ${file.headLines} comment lines`,
    );
    t.notOk(file.isBarrel, `${file.path} has code of its own`);
    t.notMatch(file.path, BANNED_NAMES, `${file.path} has a name of its own`);
    t.notMatch(file.text, /\b(TODO|FIXME|XXX|HACK)\b/, `${file.path} leaves nothing for later unsaid`);
    t.notMatch(file.text, /\bconsole\./, `${file.path} writes through the logger or the command's output`);
  }
});

t.test('tests mirror the source tree', async (t) => {
  for (const file of readSourceTree(ROOT, 'test').filter((file) => file.path.endsWith('.test.ts'))) {
    // test/bench/ mirrors bench/, everything else src/.
    const source = file.path.startsWith('test/bench/') ? '' : 'src/';
    const mirrored = file.path.replace(/^test\//, source).replace(/\.test\.ts$/, '.ts');
    const folder = mirrored.replace(/\.ts$/, '');
    const stands = file.path.startsWith('test/stories/') || file.path.split('/').length === 2;
    t.ok(
      stands || existsSync(join(ROOT, mirrored)) || existsSync(join(ROOT, folder)),
      `${file.path} has its source`,
    );
  }
});
