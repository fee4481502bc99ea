// Preloaded into a proxy under test (NODE_OPTIONS=--import) to make its wall clock jump, in all threads: the
// file named by WALL_CLOCK holds the milliseconds by which it is off.

import { readFileSync } from 'node:fs';

const LOOK_MS = 20;

const path = process.env.WALL_CLOCK;
if (path !== undefined) {
  const realNow = Date.now;
  const RealDate = Date;
  let offMs = 0;
  setInterval(() => {
    offMs = Number(readFileSync(path, 'utf8'));
  }, LOOK_MS).unref();
  Date.now = () => realNow() + offMs;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args) =>
      args.length === 0 ? new target(realNow() + offMs) : Reflect.construct(target, args),
  });
}
