import t from 'tap';
import { PROXY_DOCUMENT } from '../../src/config/document.ts';
import { loadConfig, MAX_FILE_BYTES } from '../../src/config/load.ts';
import { NOT_YET } from '../../src/config/not-yet.ts';
import { LEAST, problemsOf, variable } from './load-text.ts';

t.test('every mistake of a file is said at once, in the order of the file', async (t) => {
  t.strictSame(
    problemsOf(`listen:
  - address: 127.0.0.1:80800
  - addres: 127.0.0.1:8080
workers: 0
timeout: 3s
log: { level: verbose }
debugHeaders: yes
health:
sharding: { shards: 1000 }
regions:
  - id: east
    wieght: 2
    servers:
      - http://127.0.0.1:9101/x
      - { url: http://127.0.0.1:9102, wight: 2 }
      - http://127.0.0.1:9103
      - http://127.0.0.1:9103/
      - 5
  - weight: 2
    id: 7
routes:
  - id: a
    match: { path: /**/x }
    regions: [east, wset]
    retry: { on: [99], base: 1s, cap: 10ms }
    timeouts: { connect: 1 }
`),
    [
      'f:2:14: listen[0].address: must be IP:PORT, or unix: and a path of at most 100 bytes, such as 127.0.0.1:8080, [::1]:8080 or unix:/run/foreshard.sock, given "127.0.0.1:80800"',
      'f:3:5: listen[1].addres: unknown key; did you mean "address"?',
      'f:4:10: workers: must be auto or 1 to 256, given 0',
      'f:5:1: timeout: unknown key; it belongs to health',
      'f:6:15: log.level: must be one of trace, debug, info, warn, error, fatal, given "verbose"',
      'f:7:15: debugHeaders: must be true or false, given "yes"',
      'f:8:1: health: must be a mapping of keys to values, given nothing',
      'f:9:21: sharding.shards: must be a power of two from 64 to 65536, given 1000',
      'f:12:5: regions[0].wieght: unknown key; did you mean "weight"?',
      'f:14:9: regions[0].servers[0]: must be http://HOST:PORT or https://HOST:PORT without a path, given "http://127.0.0.1:9101/x"',
      'f:15:39: regions[0].servers[1].wight: unknown key; did you mean "weight"?',
      'f:17:9: regions[0].servers[3]: must differ from regions[0].servers[2], given "http://127.0.0.1:9103"',
      'f:18:9: regions[0].servers[4]: must be http://HOST:PORT, or a mapping with url, given 5',
      'f:20:9: regions[1].id: must be 1 to 63 letters, digits, dots, dashes or underscores, the first one a letter or digit, given 7; put quotes around it',
      'f:23:20: routes[0].match.path: must be a path with * as a whole segment and ** as the last one, such as /orders/** or /users/*/cart, given "/**/x"',
      'f:24:21: routes[0].regions[1]: must be one of east, 7, given "wset"',
      'f:25:19: routes[0].retry.on[0]: must be connect, reset, timeout or a status from 400 to 599, given 99',
      'f:25:39: routes[0].retry.cap: must be at least base (1s), given 10ms',
      'f:26:26: routes[0].timeouts.connect: must be a duration from 50ms to 60s, such as 250ms, 5s or 2m, given 1',
    ],
  );
});

t.test('a missing key points at the nearest thing above it that is there', async (t) => {
  t.strictSame(problemsOf('control: {}\n'), [
    'f:1:1: listen: is missing; it must be a list of 1 to 16 entries',
    'f:1:1: regions: is missing; it must be a list of 1 to 512 entries',
  ]);
  t.strictSame(
    problemsOf(`${LEAST}  - id: north\n    location: { lat: 1 }\n    servers: [ { weight: 2 } ]\n`),
    [
      'f:6:5: regions[2].location.lon: is missing; it must be a number from -180 to 180',
      'f:7:16: regions[2].servers[0].url: is missing; it must be http://HOST:PORT or https://HOST:PORT without a path',
    ],
  );
});

t.test('an unknown key is told its right name, its right place, or what else there is', async (t) => {
  t.strictSame(problemsOf(`${LEAST}log: { zzz: 1, Level: info, accses: all, host: a }\nreigon: east\n`), [
    'f:5:8: log.zzz: unknown key; allowed are level, access',
    'f:5:16: log.Level: unknown key; did you mean "level"?',
    'f:5:29: log.accses: unknown key; did you mean "access"?',
    'f:5:42: log.host: unknown key; it belongs to routes[].match',
    'f:6:1: reigon: unknown key; did you mean "region"?',
  ]);
});

t.test('a value that is wrong in two ways is said once', async (t) => {
  const shards = (value: string): string[] => problemsOf(`${LEAST}sharding: { shards: ${value} }\n`);
  for (const value of ['1', '63.5', '-1', '65537', '[64]', 'many']) t.equal(shards(value).length, 1, value);
  t.match(shards('1'), ['f:5:21: sharding.shards: must be a power of two from 64 to 65536, given 1']);
  const idle = (value: string): string[] =>
    problemsOf(`${LEAST}routes: [ { id: a, timeouts: { idle: ${value} } } ]\n`);
  t.match(
    idle('0.4ms'),
    [/must be a duration from 0 to 24h/],
    'a part of a millisecond is not rounded to none',
  );
  t.match(idle('-1s'), [/given "-1s"$/]);
  t.match(idle('25h'), [/given "25h"$/]);
});

t.test('a key source says which of its keys is wrong, not that no form fits', async (t) => {
  const from = (source: string): string[] =>
    problemsOf(`${LEAST}routes:\n  - id: a\n    key:\n      from:\n        - ${source}\n`);
  const whole =
    'must be clientIp, or a mapping with exactly one of header, query, cookie, path, json, jwt, clientIp';
  t.strictSame(from('{ heder: x }'), [
    'f:9:13: routes[0].key.from[0].heder: unknown key; did you mean "header"?',
  ]);
  t.strictSame(from('{ header: a b }'), [
    'f:9:21: routes[0].key.from[0].header: must be a header name, such as x-user-id, given "a b"',
  ]);
  t.strictSame(from('{ header: a, query: b }'), [
    `f:9:11: routes[0].key.from[0]: ${whole}, given a mapping with header, query`,
  ]);
  t.strictSame(from('{}'), [`f:9:11: routes[0].key.from[0]: ${whole}, given an empty mapping`]);
  t.strictSame(from('clientip'), [`f:9:11: routes[0].key.from[0]: ${whole}, given "clientip"`]);
  t.strictSame(from('{ path: 0 }'), [
    'f:9:19: routes[0].key.from[0].path: must be a whole number from 1 to 64, given 0',
  ]);
});

t.test('headers may stand once, whatever their case', async (t) => {
  const headers = (text: string): string[] =>
    problemsOf(`${LEAST}routes: [ { id: a, match: { headers: ${text} } } ]\n`);
  t.strictSame(headers('{ x-a: "1", X-B: "2" }'), []);
  t.strictSame(headers('{ "x y": "1" }'), [
    'f:5:40: routes[0].match.headers["x y"]: the key must be a header name, such as x-user-id, given "x y"',
  ]);
  t.match(headers('{ x-a: "1", X-A: "2" }')[0], 'each once whatever its case, given a mapping with x-a, X-A');
  t.match(
    headers('{ x-a: 1 }')[0],
    'headers.x-a: must be text of 0 to 1024 characters, given 1; put quotes around it',
  );
});

t.test('what follows from a mistake is not reported as another one', async (t) => {
  t.strictSame(
    problemsOf(
      'listen: [ { address: nowhere } ]\nregions:\n  - id: a\n    sevrers: [ "http://a:1" ]\nroutes: [ { id: r, regions: [a] } ]\n',
    ),
    [
      'f:1:22: listen[0].address: must be IP:PORT, or unix: and a path of at most 100 bytes, such as 127.0.0.1:8080, [::1]:8080 or unix:/run/foreshard.sock, given "nowhere"',
      'f:4:5: regions[0].sevrers: unknown key; did you mean "servers"?',
    ],
    'no region without servers, no unknown region',
  );
  const withoutRegions = problemsOf(
    'listen: [ { address: "127.0.0.1:1" } ]\nroutes: [ { id: r, regions: [a], retry: { base: 1s } } ]\n',
  );
  t.strictSame(withoutRegions.length, 2, 'but a mistake elsewhere is');
  t.match(withoutRegions[1], 'routes[0].retry.cap: must be at least base (1s), given 250ms');
});

t.test('variables are replaced in values, and can bring no structure', async (t) => {
  const load = (text: string, env: Record<string, string>) => {
    const loaded = loadConfig({ path: 'f', text: `${LEAST}${text}`, env }, PROXY_DOCUMENT);
    if (!loaded.ok) throw new Error(loaded.problems[0]!.message);
    return loaded.config;
  };
  const evil = 'x: 1\nworkers: 7 # "}';
  t.equal(load(`state: { path: "${variable('P')}" }`, { P: evil }).state.path, evil);
  t.equal(load(`workers: ${variable('W')}`, { W: '4' }).workers, 4, 'an unquoted number is a number');
  t.equal(load(`debugHeaders: ${variable('D')}`, { D: 'true' }).debugHeaders, true);
  t.equal(load(`region: ${variable('R:-east')}`, {}).region, 'east');
  t.equal(load(`region: ${variable('R:-east')}`, { R: '' }).region, 'east', 'empty counts as not set');
  t.equal(load(`state: { path: "a-${variable('A')}/${variable('B:-b')}" }`, { A: 'x' }).state.path, 'a-x/b');
  t.equal(load(`state: { path: "$${variable('A')}" }`, {}).state.path, variable('A'), '$$ is a literal');
  t.equal(
    load(`state: { path: "${variable('A')}" }`, { A: variable('B') }).state.path,
    variable('B'),
    'once',
  );
  const digits = '1234567890123456';
  t.equal(
    load(`control:\n  token: ${variable('T')}`, { T: digits }).control.token,
    digits,
    'text where text is due',
  );
});

t.test('a variable that cannot be replaced is a problem where it stands', async (t) => {
  t.strictSame(problemsOf(`${LEAST}region: ${variable('NOPE')}\nwokers: ${variable('9')}\n`), [
    `f:5:9: region: the environment variable NOPE is not set; set it, or give a default: ${variable('NOPE:-default')}`,
    'f:6:1: wokers: unknown key; did you mean "workers"?',
    `f:6:9: wokers: a variable must be written ${variable('NAME')} or ${variable('NAME:-default')}; for a literal $\{ write $$\{`,
  ]);
  t.match(problemsOf(`${LEAST}region: ${variable('toString')}\n`)[0], 'toString is not set');
  t.match(problemsOf(`${LEAST}control: { token: ${variable('T')} }\n`)[0], 'inside { } or [ ]');
  t.match(
    problemsOf(`${LEAST}state:\n  path: ${variable('A')}${variable('A')}\n`, { A: 'x'.repeat(40_000) })[0],
    'at most 65536',
  );
});

t.test('a secret, or a wrong text out of a variable, is never in a message', async (t) => {
  const secret = 'S3cretOfTheHouse';
  const texts = [
    `control: { address: "10.0.0.1:1", token: [ ${secret} ] }`,
    `control: { token: { a: ${secret} } }`,
    `control: { token: ${secret.repeat(300)} }`,
    `trustedProxies: [ "http://me:${secret}@10.0.0.1/" ]`,
    `control:\n  token: ${variable('S')}${'x'.repeat(5000)}`,
    `workers: ${variable('S')}`,
    `log: { level: "${variable('S')}" }`,
    `control:\n  tokn: ${secret}`,
    `control:\n  token: "${secret}\n  x: 1`,
    `control:\n  token: "a" ${secret}`,
    `sharding: { notify: "ftp://user:${secret}@host/" }`,
    `pae: { token: { a: ${secret} } }`,
  ];
  for (const text of texts) {
    const problems = problemsOf(`${LEAST}${text}\n`, { S: secret });
    t.ok(problems.length > 0, text.slice(0, 40));
    t.notMatch(problems.join('\n'), secret);
  }
});

t.test('a value in a message cannot play with the terminal', async (t) => {
  const [problem] = problemsOf(`${LEAST}log: { level: "\\e[31m\\x9b\\u202e${'x'.repeat(200)}" }\n`);
  t.match(problem, /given "\\u001b\[31m\\u009b\\u202ex{40,60}…"$/);
});

t.test('a key whose capability is not built yet is refused by name', async (t) => {
  const set: Readonly<Record<string, string>> = {
    'listen[].tls': '{ cert: a, key: b }',
    'listen[].proxyProtocol': 'true',
    'sharding.guards': '{ errors: 1% }',
    'sharding.notify': '"http://a/"',
    'sharding.churn': '{ perRound: 1% }',
    'pae.mode': 'auto',
    'pae.thresholds': '{ low: 0.1 }',
    'pae.metrics': '[ { scrape: "http://a/", region: a } ]',
    'pae.externalEvents': '[ { file: a, kind: weather } ]',
    'routes[].residency': '[a]',
    'routes[].priority': 'high',
    'routes[].shadow': '{ to: a }',
    'routes[].whenNoRegion': 'park',
    otlp: '{ url: "http://a/" }',
  };
  for (const { key, harmless = [] } of NOT_YET) {
    const text = (value: string): string => fileWith(key, value);
    const [problem, ...more] = problemsOf(text(set[key] ?? '5s'));
    const place = key.replaceAll('[]', '[0]');
    t.match(problem, `: ${place}: not available yet; leave it out`, key);
    t.strictSame(more, [], `${key} is said once`);
    for (const value of harmless)
      t.strictSame(problemsOf(text(JSON.stringify(value))), [], `${key}: ${JSON.stringify(value)}`);
  }
});

/** A good file in which `key` has the value `value`. */
function fileWith(key: string, value: string): string {
  const own = (prefix: string): string =>
    key.startsWith(prefix) ? `, ${key.slice(prefix.length)}: ${value}` : '';
  const server = own('regions[].servers[].');
  const region = server === '' ? own('regions[].') : '';
  const top = /\[\]/.test(key)
    ? ''
    : `${key.replaceAll('.', ': { ')}: ${value}${' }'.repeat(key.split('.').length - 1)}\n`;
  const servers = key === 'regions[].rem' ? '' : `, servers: [ { url: "http://a:1"${server} } ]`;
  return `listen: [ { address: "127.0.0.1:1"${own('listen[].')} } ]
regions: [ { id: a${servers}${region} } ]
routes: [ { id: r${own('routes[].')} } ]
${top}`;
}

t.test('what is no configuration file at all is refused in one sentence', async (t) => {
  const only = (text: string | Uint8Array): string => {
    const problems = problemsOf(text);
    t.equal(problems.length, 1);
    return problems[0]!;
  };
  t.equal(only(''), 'f:1:1: the file is empty; listen and regions are required');
  t.equal(only('# nothing\n'), 'f:1:1: the file is empty; listen and regions are required');
  t.equal(only('- a\n'), 'f:1:1: must be a mapping of keys to values, given a list of 1');
  t.equal(only(Buffer.from([0x61, 0xff, 0x0a])), 'f:1:1: must be UTF-8 text; some bytes are not');
  t.equal(
    only('#'.repeat(MAX_FILE_BYTES + 1)),
    `f:1:1: must be at most 4194304 bytes (4 MiB), given 4194305`,
  );
  t.strictSame(problemsOf(Buffer.from(`\ufeff${LEAST}`)), [], 'a byte order mark is no mistake');
});

t.test('a good file has a digest of its content, and a place for later problems', async (t) => {
  const [a, b] = [LEAST, `${LEAST}\n`].map((text) =>
    loadConfig({ path: 'f', text, env: {} }, PROXY_DOCUMENT),
  );
  if (!a!.ok || !b!.ok) throw new Error('both are good');
  t.not(a!.digest, b!.digest);
  t.match(a!.digest, /^[0-9a-f]{64}$/);
  t.match(b!.problemAt(['regions', 1, 'weight'], 'x'), {
    line: 4,
    column: 5,
    message: 'x',
    path: 'regions[1].weight',
  });
});
