import {
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfigFile } from '../../src/config/config-file.ts';
import { describeChange } from '../../src/config/describe-change.ts';
import { type ParsedConfig, PROXY_DOCUMENT } from '../../src/config/document.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { type ConfigNews, ConfigWatcher, type Schedule } from '../../src/config/reload.ts';
import { configOf, LEAST } from './load-text.ts';

const withGrace = (seconds: number): string => `${LEAST}shutdown: { grace: ${seconds}s }\n`;

// Events of the file system come within milliseconds; this only bounds a test that fails.
const PATIENCE_MS = 10_000;

const POLL_MS = 3000;

type Call = { readonly news: ConfigNews<ParsedConfig> } | { readonly problems: readonly string[] };

/** What a watcher has called, in order; `next` waits for the first call that was not taken yet. */
class Calls {
  readonly #queue: Call[] = [];
  #wake: (() => void) | null = null;

  push(call: Call): void {
    this.#queue.push(call);
    this.#wake?.();
  }

  get waiting(): number {
    return this.#queue.length;
  }

  async next(): Promise<Call> {
    if (this.#queue.length === 0) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const limit = setTimeout(() => reject(new Error('the watcher saw nothing')), PATIENCE_MS);
      this.#wake = resolve;
      await promise.finally(() => clearTimeout(limit));
    }
    return this.#queue.shift()!;
  }

  async grace(): Promise<number> {
    const call = await this.next();
    if ('problems' in call) throw new Error(`refused: ${call.problems.join('\n')}`);
    return call.news.config.shutdown.grace / 1000;
  }

  async problems(): Promise<readonly string[]> {
    const call = await this.next();
    if ('news' in call) throw new Error('taken, though it should be refused');
    return call.problems;
  }
}

/** Real timers, but for polls: what a test sees then, it sees by an event. */
const withoutPolls: Schedule = (delayMs, run) => {
  if (delayMs === POLL_MS) return () => undefined;
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

interface Setup {
  readonly schedule?: Schedule;
  /** False: as on a file system without events. */
  readonly events?: boolean;
}

async function watching(t: Test, path: string, { schedule = withoutPolls, events = true }: Setup = {}) {
  const inForce = await loadConfigFile({ path, env: {} }, PROXY_DOCUMENT);
  if (!inForce.ok) throw new Error(inForce.problems.map(formatProblem).join('\n'));
  const calls = new Calls();
  const watcher = new ConfigWatcher({
    document: PROXY_DOCUMENT,
    path,
    name: 'f',
    env: {},
    inForce,
    onConfig: (news) => calls.push({ news }),
    onProblems: (problems) => calls.push({ problems: problems.map(formatProblem) }),
    schedule,
    ...(!events && { watchDirectory: () => null }),
  });
  t.teardown(() => watcher.close());
  t.equal(await watcher.start(), 'unchanged', 'nothing is new at the start');
  return { watcher, calls };
}

function fileWith(t: Test, text: string): string {
  return join(t.testdir({ 'proxy.yaml': text }), 'proxy.yaml');
}

t.test('a plain write and an editor that renames over the file are seen', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { calls } = await watching(t, path);
  writeFileSync(path, withGrace(2));
  t.equal(await calls.grace(), 2);
  for (const seconds of [3, 4]) {
    writeFileSync(`${path}.new`, withGrace(seconds));
    renameSync(`${path}.new`, path);
    t.equal(await calls.grace(), seconds, 'the second rename too: the watch is not on the old inode');
  }
  t.equal(calls.waiting, 0, 'each was said once');
});

t.test('the swap of a Kubernetes volume is seen', async (t) => {
  const root = t.testdir({
    v1: { 'proxy.yaml': withGrace(1) },
    v2: { 'proxy.yaml': withGrace(2) },
    '..data': t.fixture('symlink', 'v1'),
    'proxy.yaml': t.fixture('symlink', '..data/proxy.yaml'),
  });
  const { calls } = await watching(t, join(root, 'proxy.yaml'));
  symlinkSync('v2', join(root, '..data_tmp'));
  renameSync(join(root, '..data_tmp'), join(root, '..data'));
  t.equal(await calls.grace(), 2);
});

t.test('a bad file is refused whole with its problems, and the next good one is taken', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { watcher, calls } = await watching(t, path);
  writeFileSync(path, `${withGrace(2)}workers: 0\n`);
  t.strictSame(await calls.problems(), ['f:6:10: workers: must be auto or 1 to 256, given 0']);
  t.equal(await watcher.reload(), 'unchanged', 'the same content is not reported again');
  writeFileSync(path, withGrace(1));
  t.equal(await calls.grace(), 1, 'the file in force is announced again: the problem is over');
});

t.test('a file that vanishes is a problem, and the watch goes on', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { calls } = await watching(t, path);
  unlinkSync(path);
  t.strictSame(await calls.problems(), ['f:1:1: cannot be read: there is no such file']);
  writeFileSync(path, withGrace(2));
  t.equal(await calls.grace(), 2);
});

t.test('what a running process cannot follow refuses the file whole', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { watcher, calls } = await watching(t, path);
  writeFileSync(path, `${withGrace(2)}workers: 3\nsharding:\n  shards: 128\n`);
  const outcome = watcher.reload();
  t.strictSame(await calls.problems(), [
    'f:6:1: workers: cannot change without a restart (the shared cells have a column for each worker): in force auto, given 3; nothing of the file was taken',
    'f:8:3: sharding.shards: cannot change without a restart (the shard of every key would change): in force 4096, given 128; nothing of the file was taken',
  ]);
  t.equal(await outcome, 'refused');
  writeFileSync(path, withGrace(3));
  t.equal(await calls.grace(), 3);
});

/** Runs what is due when told, instead of after a time. */
function handDriven() {
  const due = new Map<object, { delayMs: number; run: () => void }>();
  const schedule: Schedule = (delayMs, run) => {
    const key = {};
    due.set(key, { delayMs, run });
    return () => due.delete(key);
  };
  /** The number of timers that ran. */
  const pass = (delayMs: number): number => {
    const ready = [...due].filter(([, timer]) => timer.delayMs === delayMs);
    for (const [key, timer] of ready) {
      due.delete(key);
      timer.run();
    }
    return ready.length;
  };
  return { schedule, pass, due };
}

t.test(
  'a file system without events is polled, and a directory that is replaced is found again',
  async (t) => {
    const path = fileWith(t, withGrace(1));
    const { schedule, pass } = handDriven();
    const { calls } = await watching(t, path, { schedule, events: false });
    writeFileSync(path, withGrace(2));
    t.equal(pass(POLL_MS), 1);
    t.equal(await calls.grace(), 2);
    rmSync(dirname(path), { recursive: true });
    mkdirSync(dirname(path));
    writeFileSync(path, withGrace(3));
    await pollUntil(() => pass(POLL_MS) === 1);
    t.equal(await calls.grace(), 3);
  },
);

/** The next poll is put off until the one before has read the file. */
async function pollUntil(isDone: () => boolean): Promise<void> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  while (!isDone()) {
    patience.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

t.test('a poll of an unchanged file reads nothing and says nothing', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { schedule, pass, due } = handDriven();
  const { watcher, calls } = await watching(t, path, { schedule, events: false });
  for (let round = 0; round < 3; round++) {
    await pollUntil(() => pass(POLL_MS) === 1);
    await pollUntil(() => due.size === 1);
  }
  t.equal(calls.waiting, 0);
  chmodSync(path, 0o600);
  t.equal(await watcher.reload(), 'unchanged', 'new times with the old content are no news');
  t.equal(calls.waiting, 0);
});

t.test('many events are one look, and a busy directory does not put it off for ever', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { schedule, pass, due } = handDriven();
  const loaded = await loadConfigFile({ path, env: {} }, PROXY_DOCUMENT);
  if (!loaded.ok) throw new Error('good');
  const calls = new Calls();
  let onEvent = (): void => undefined;
  let cancelled = 0;
  const watcher = new ConfigWatcher({
    document: PROXY_DOCUMENT,
    path,
    env: {},
    inForce: loaded,
    onConfig: (news) => calls.push({ news }),
    onProblems: () => undefined,
    schedule: (delayMs, run) => {
      const cancel = schedule(delayMs, run);
      return () => {
        cancelled += 1;
        cancel();
      };
    },
    watchDirectory: (_, listener) => {
      onEvent = listener;
      return () => undefined;
    },
  });
  t.teardown(() => watcher.close());
  await watcher.start();
  writeFileSync(path, withGrace(2));
  for (let i = 0; i < 1000; i++) onEvent();
  t.equal(due.size, 2, 'one look and one poll are due');
  t.ok(cancelled <= 10, `put off ${cancelled} times`);
  t.equal(pass(100), 1);
  t.equal(await calls.grace(), 2);
  watcher.close();
  onEvent();
  t.equal(due.size, 0, 'a closed watcher waits for nothing');
  t.equal(await watcher.reload(), 'closed');
});

t.test('reloads that overlap are one, and a closed watcher calls nothing', async (t) => {
  const path = fileWith(t, withGrace(1));
  const { watcher, calls } = await watching(t, path, { events: false });
  writeFileSync(path, withGrace(2));
  t.strictSame(await Promise.all([watcher.reload(), watcher.reload()]), ['applied', 'applied']);
  t.equal(await calls.grace(), 2);
  t.equal(calls.waiting, 0);
  truncateSync(path);
  const outcome = watcher.reload();
  watcher.close();
  t.equal(await outcome, 'closed');
  t.equal(calls.waiting, 0);
});

t.test('a change is named by its top-level keys', async (t) => {
  const before = configOf(LEAST);
  const after = configOf(`${LEAST}health: { path: /up }\nlog: { level: info }\nroutes: [ { id: a } ]\n`);
  t.strictSame(describeChange<ParsedConfig>(before, after, PROXY_DOCUMENT.fixed), {
    changed: ['health', 'routes'],
    needsRestart: [],
  });
  t.strictSame(describeChange<ParsedConfig>(before, before, PROXY_DOCUMENT.fixed), {
    changed: [],
    needsRestart: [],
  });
  const moved = configOf(
    `${LEAST.replace(':8080', ':8081')}control: { address: "127.0.0.1:1" }\nstate: { path: else }\n`,
  );
  t.match(describeChange<ParsedConfig>(before, moved, PROXY_DOCUMENT.fixed).needsRestart, [
    { path: ['listen'], sentence: /in force 127\.0\.0\.1:8080, given 127\.0\.0\.1:8081$/ },
    { path: ['control', 'address'] },
    { path: ['state', 'path'], sentence: /in force data, given else$/ },
  ]);
  const secret = configOf(`${LEAST}control: { token: a-token-of-sixteen }\n`);
  t.strictSame(
    describeChange<ParsedConfig>(before, secret, PROXY_DOCUMENT.fixed).needsRestart,
    [],
    'a token may change',
  );
});
