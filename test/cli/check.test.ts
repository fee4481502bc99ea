import { join } from 'node:path';
import t from 'tap';
import { run as runCheck } from '../../src/cli/check.ts';
import type { CommandIo } from '../../src/cli/command-io.ts';
import { run as runSchema } from '../../src/cli/schema.ts';
import { variable } from '../config/load-text.ts';

const GOOD = `listen: [ { address: "127.0.0.1:8080" } ]
regions:
  - { id: east, servers: [ "http://127.0.0.1:9000", "http://127.0.0.1:9001" ] }
  - { id: west, servers: [ "http://127.0.0.1:9002" ] }
`;

type Command = (args: readonly string[], io: CommandIo) => Promise<number>;

async function call(command: Command, args: readonly string[], cwd = '/', env: NodeJS.ProcessEnv = {}) {
  let out = '';
  let err = '';
  const code = await command(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env,
    cwd,
  });
  return { code, out, err };
}

t.test('a good file is summed up in a line', async (t) => {
  const cwd = t.testdir({ 'proxy.yaml': GOOD, 'other.yaml': `${GOOD}routes: [ { id: a }, { id: b } ]\n` });
  t.strictSame(await call(runCheck, [], cwd), {
    code: 0,
    out: 'proxy.yaml: good: 2 regions, 3 servers, 1 route, 1 listener\n',
    err: '',
  });
  t.strictSame(await call(runCheck, ['other.yaml'], cwd), {
    code: 0,
    out: [
      'other.yaml:5:22: warning: routes[1]: is never reached: routes[0] (a) stands before it and takes all that it would',
      'other.yaml: good: 2 regions, 3 servers, 2 routes, 1 listener, 1 warning\n',
    ].join('\n'),
    err: '',
  });
  t.match(await call(runCheck, [join(cwd, 'proxy.yaml')]), { code: 0, out: `${cwd}/proxy.yaml: good` });
});

t.test('a bad file is refused with every problem, under the name that was given', async (t) => {
  const cwd = t.testdir({ conf: { 'p.yaml': `${GOOD}workers: ${variable('W')}\nlgo: {}\nregion: north\n` } });
  t.strictSame(await call(runCheck, ['conf/p.yaml'], cwd, { W: '0' }), {
    code: 1,
    out: [
      `conf/p.yaml:5:10: workers: must be auto or 1 to 256, given 0 (from "${variable('W')}")`,
      'conf/p.yaml:6:1: lgo: unknown key; did you mean "log"?',
      'conf/p.yaml:7:9: region: must be one of east, west, given "north"',
      'conf/p.yaml: refused: 3 errors\n',
    ].join('\n'),
    err: '',
  });
});

t.test('a file that cannot be read is a problem, not a crash', async (t) => {
  const cwd = t.testdir({ folder: {} });
  t.match(await call(runCheck, ['gone.yaml'], cwd), {
    code: 1,
    out: /^gone\.yaml:1:1: cannot be read: there is no such file\n/,
  });
  t.match(await call(runCheck, ['folder'], cwd), { code: 1, out: /^folder:1:1: must be a file\n/ });
  t.match(await call(runCheck, ['folder/x/y'], cwd), { code: 1, out: /no such file/ });
});

t.test('wrong use is told from a wrong file', async (t) => {
  t.match(await call(runCheck, ['a', 'b']), {
    code: 2,
    out: '',
    err: /^foreshard check: one file at most, given 2\n\nUsage:/,
  });
  t.match(await call(runCheck, ['--nope']), {
    code: 2,
    out: '',
    err: /^foreshard check: Unknown option '--nope'/,
  });
  t.match(await call(runSchema, ['x']), { code: 2, out: '', err: /^foreshard schema: .*\n\nUsage:/ });
  t.match(await call(runCheck, ['--help']), {
    code: 0,
    out: /^Usage: foreshard check \[--rem\] \[FILE\]/,
    err: '',
  });
  t.match(await call(runSchema, ['-h']), { code: 0, out: /--markdown/, err: '' });
});

t.test('schema prints JSON Schema, or the reference', async (t) => {
  const { code, out } = await call(runSchema, []);
  t.equal(code, 0);
  t.match(JSON.parse(out), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    required: ['listen', 'regions'],
    properties: { healthCheckInterval: { default: '2s' } },
  });
  t.match(await call(runSchema, ['--markdown']), {
    code: 0,
    out: /^\| key \| default \| allowed \| meaning \|\n/,
  });
});

const MANAGER = `region: a
listen: [ { address: "127.0.0.1:9500" } ]
control: { address: "127.0.0.1:9501" }
servers: [ "http://127.0.0.1:9511", { url: "http://127.0.0.1:9512", zone: z, metrics: "http://127.0.0.1:9512/m" } ]
`;

t.test('--rem checks a manager’s file: its problems, and what is not available yet, by name', async (t) => {
  const cwd = t.testdir({
    'rem.yaml': MANAGER,
    'bad.yaml': `region: a
listen:
  - { address: "0.0.0.0:9500", tls: { cert: c.pem, key: k.pem } }
  - { address: "127.0.0.1:9502", proxyProtocol: true }
control: { address: "0.0.0.0:9501" }
servers: [ "http://127.0.0.1:9511", { url: "http://127.0.0.1:9511" } ]
regions: []
policy: { requireHeader: { x-tenant: "(" } }
`,
  });
  t.strictSame(await call(runCheck, ['--rem'], cwd), {
    code: 0,
    out: 'rem.yaml: good: region a, 2 servers, 0 sources, 1 listener\n',
    err: '',
  });
  const { code, out } = await call(runCheck, ['--rem', 'bad.yaml'], cwd);
  t.equal(code, 1);
  for (const problem of [
    'bad.yaml:3:32: listen[0].tls: not available yet; leave it out until it is',
    'bad.yaml:4:34: listen[1].proxyProtocol: not available yet; leave it out or give false until it is',
    /bad.yaml:7:1: regions: unknown key; did you mean "region"/,
    /control.address: must be a loopback address unless control.token is set/,
    /dataUrl: must be set, since proxies cannot send to 0.0.0.0:9500/,
    /servers\[1\]: must differ from servers\[0\]/,
    /policy.requireHeader.x-tenant: must be a regular expression/,
  ])
    t.match(out, problem, String(problem));
});
