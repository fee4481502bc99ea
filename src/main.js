#!/usr/bin/env node
// What `npx foreshard` runs. Plain JavaScript, so that a Node too old to read TypeScript can still say so
// in one sentence.

import module from 'node:module';

const LEAST_NODE_MAJOR = 26;

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE_MAJOR) {
  process.stderr.write(
    `foreshard needs Node ${LEAST_NODE_MAJOR} or newer, this is ${process.versions.node}. ` +
      'After `npm ci`, `npx foreshard` and `npm start` use the one that came with it.\n',
  );
  process.exit(1);
}
// Compiled code is kept on disk, which halves what a start costs. Where that cannot be, nothing is lost.
module.enableCompileCache?.();
await import('./main.ts');
