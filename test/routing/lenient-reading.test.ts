// What servers undo in a path, and where a request names its key more than once.

import t from 'tap';
import { isKeyRepeated, lenientPath } from '../../src/routing/lenient-reading.ts';
import { factsOf } from '../rig/world.ts';

t.test('a path as the most obliging server reads it', async (t) => {
  for (const [path, read] of [
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/', '/a/'],
    ['/a..b/.c', '/a..b/.c'],
    ['/a%2Fb', '/a/b'],
    ['/a%2fb', '/a/b'],
    ['/a\\b', '/a/b'],
    ['/a%5Cb', '/a/b'],
    ['//a//b', '/a/b'],
    ['/a;v=1/b;w', '/a/b'],
    ['/x/..%2Fa', '/a'],
    ['/x/..;/a', '/a'],
    ['/.;/a', '/a'],
    ['/..%2F..%2Fa', '/a'],
    ['/a%252Fb', '/a%252Fb'],
  ] as const)
    t.equal(lenientPath(path), read, path);
});

t.test('a key that is given more than once', async (t) => {
  const header = { kind: 'header', name: 'x-tenant' } as const;
  const cookie = { kind: 'cookie', name: 'tenant' } as const;
  const query = { kind: 'query', name: 'tenant' } as const;
  const lines = (...fields: string[]) => factsOf({ fields });
  t.notOk(isKeyRepeated(header, lines('x-tenant', 'a', 'x-other', 'b')));
  t.ok(isKeyRepeated(header, lines('x-tenant', 'a', 'x-tenant', 'b')));
  t.notOk(isKeyRepeated(cookie, lines('cookie', 'tenant=a; tenants=b')));
  t.ok(isKeyRepeated(cookie, lines('cookie', 'tenant=a; tenant=b')));
  t.ok(isKeyRepeated(cookie, lines('cookie', 'tenant=a', 'cookie', 'x=1;tenant=b')));
  t.notOk(isKeyRepeated(query, factsOf({ target: '/?tenant=a&tenants=b' })));
  t.ok(isKeyRepeated(query, factsOf({ target: '/?tenant=a&ten%61nt=b' })));
  t.notOk(isKeyRepeated({ kind: 'path', segment: 1 }, factsOf({ target: '/a/a' })));
});
