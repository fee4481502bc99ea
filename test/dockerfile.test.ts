// The image cannot be built where these tests run, so what can be known without building is checked: the
// file is well formed, and what it copies exists and is not ignored.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validate } from 'dockerfile-utils';
import t from 'tap';

const ROOT = join(import.meta.dirname, '..');
const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

t.test('the Dockerfile has no fault that a linter finds', async (t) => {
  t.strictSame(
    validate(text).map(({ message, range }) => `line ${range.start.line + 1}: ${message}`),
    [],
  );
});

t.test('everything that is copied into the image exists and is not ignored', async (t) => {
  const kept = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const copied = [...text.matchAll(/^COPY (.+) \S+$/gm)].flatMap((match) => match[1]!.split(' '));
  t.ok(copied.length > 0);
  for (const source of copied) {
    t.ok(existsSync(join(ROOT, source)), `${source} exists`);
    t.ok(kept.includes(source), `${source} is not ignored`);
  }
});

t.test('the image starts what package.json calls foreshard', async (t) => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    bin: { foreshard: string };
  };
  t.match(text, `CMD ["node", "${manifest.bin.foreshard}"`);
});
