// `drive` as a user runs it: a process, a local server, JSON out.

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';

const MAIN = join(import.meta.dirname, '..', '..', '..', 'bench', 'load', 'main.ts');
const LIMIT_MS = 30_000;

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function drive(args: readonly string[]): Promise<Finished> {
  const run = promisify(execFile)(process.execPath, [MAIN, 'drive', ...args], { timeout: LIMIT_MS });
  try {
    return { code: 0, ...(await run) };
  } catch (error) {
    return error as Finished;
  }
}

interface Seen {
  readonly keys: Set<string>;
  gets: number;
  posts: number;
  postBytes: number;
}

async function countingServer(t: Test): Promise<{ readonly url: string; readonly seen: Seen }> {
  const seen: Seen = { keys: new Set(), gets: 0, posts: 0, postBytes: 0 };
  const server = http.createServer((request, response) => {
    seen.keys.add(String(request.headers['x-user-id']));
    if (request.method === 'POST') seen.posts += 1;
    else seen.gets += 1;
    request.on('data', (chunk: Buffer) => {
      seen.postBytes += chunk.length;
    });
    request.on('end', () => {
      response.setHeader('foreshard-route', `region=${request.method === 'POST' ? 'eu' : 'us'}, shard=1`);
      response.end('hello');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, seen };
}

t.test('sends exactly what was asked for and reports what the server saw', async (t) => {
  const { url, seen } = await countingServer(t);
  const out = t.testdir({});
  const load = ['--requests', '600', '--connections', '8', '--threads', '2', '--keys', 'zipf:40'];
  const mix = ['--request', 'GET@2', '--request', 'POST:1KiB@1', '--count-by', 'foreshard-route:region'];
  const { code, stdout } = await drive(['--url', url, ...load, ...mix, '--json', '--out', out]);
  t.equal(code, 0);
  const result = JSON.parse(stdout);
  t.equal(seen.gets + seen.posts, 600, 'counted by the server');
  t.match(result.counts, { sent: 600, answered: 600, unsent: 0, statuses: { 200: 600 }, bodyBytes: 3000 });
  t.strictSame(result.counts.groups, { us: seen.gets, eu: seen.posts });
  t.equal(seen.postBytes, seen.posts * 1024);
  t.ok(seen.posts > 100 && seen.gets > 300, `${seen.gets} GET, ${seen.posts} POST`);
  t.ok(seen.keys.size > 10 && seen.keys.size <= 40, `${seen.keys.size} different keys`);
  t.equal(result.latencyMicros.count, 600);
  t.ok(result.machine.cores >= 1 && typeof result.commit.hash === 'string');

  const files = readdirSync(out);
  t.equal(files.length, 2);
  const html = readFileSync(join(out, files.find((name) => name.endsWith('.html'))!), 'utf8');
  t.notMatch(html, /<script|(?:src|href)=|url\(|@import/, 'the page asks nobody for anything');
  t.match(html, /Latency by percentile/);
});

t.test('a limit that is passed, wrong use and a distant target end with 1, 2 and 2', async (t) => {
  const { url, seen } = await countingServer(t);
  const out = t.testdir({});
  const [slow, wrong, distant, help] = await Promise.all([
    drive(['--url', url, '--requests', '20', '--max-p99', '0ms', '--out', out]),
    drive(['--url', url, '--rate', 'fast']),
    drive(['--url', 'http://192.0.2.1/']),
    drive(['--help']),
  ]);
  t.equal(slow.code, 1);
  t.match(slow.stderr, /above --max-p99/);
  t.equal(wrong.code, 2);
  t.match(wrong.stderr, /--rate must be a number, not "fast"/);
  t.equal(distant.code, 2);
  t.match(distant.stderr, /is not this machine.*--yes-not-loopback/);
  t.equal(help.code, 0);
  t.match(help.stdout, /--connections/);
  t.equal(seen.gets, 20, 'only the first sent anything');
});
