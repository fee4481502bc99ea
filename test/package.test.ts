// What `npm ci` needs on machines other than this one.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Record<string, string>;
}

const lock = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};

t.test(
  'the lock file has every platform package, whatever platform and registry it was written with',
  async (t) => {
    const missing = Object.entries(lock.packages).flatMap(([at, { optionalDependencies }]) =>
      Object.keys(optionalDependencies ?? {}).filter(
        (name) =>
          lock.packages[`node_modules/${name}`] === undefined &&
          lock.packages[`${at}/node_modules/${name}`] === undefined,
      ),
    );
    t.strictSame(missing, [], 'npm ci refuses a lock file that leaves one out');
  },
);

t.test('the lock file names no place to download from', async (t) => {
  t.strictSame(
    Object.entries(lock.packages).flatMap(([at, { resolved }]) => (resolved === undefined ? [] : [at])),
    [],
  );
});
