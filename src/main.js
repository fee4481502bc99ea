#!/usr/bin/env node
// What `npx foreshard` runs. Plain JavaScript, so that a Node too old to read TypeScript can still say so
// in one sentence.

const LEAST_NODE_MAJOR = 26;

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE_MAJOR) {
  process.stderr.write(
    `foreshard needs Node ${LEAST_NODE_MAJOR} or newer, this is ${process.versions.node}. ` +
      'After `npm ci`, `npx foreshard` and `npm start` use the one that came with it.\n',
  );
  process.exit(1);
}
await import('./main.ts');
