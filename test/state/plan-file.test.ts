import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PlanFile } from '../../src/state/plan-file.ts';
import { World } from '../rig/world.ts';

const { plan } = new World({ regions: [{ id: 'a' }, { id: 'b' }] });

t.test('a plan that was written is read again, by another process too', async (t) => {
  const folder = join(t.testdir({}), 'not', 'there');
  t.equal(await new PlanFile(folder).read(), undefined, 'there is none yet');
  t.equal(await new PlanFile(folder).write(plan), undefined, 'the folder is made');
  t.strictSame(await new PlanFile(folder).read(), plan);
});

t.test('writes follow each other, the last one stays, and nothing else is left', async (t) => {
  const folder = t.testdir({});
  const file = new PlanFile(folder);
  const generations = Array.from({ length: 20 }, (_, i) => ({ ...plan, generation: i + 1 }));
  t.strictSame(
    await Promise.all(generations.map((one) => file.write(one))),
    generations.map(() => undefined),
  );
  t.match(await file.read(), { generation: 20 });
  t.strictSame(readdirSync(folder), ['plan.json']);
});

t.test('a file that holds no valid plan is said, not thrown, and not taken', async (t) => {
  const folder = t.testdir({});
  const file = new PlanFile(folder);
  const contents = [
    '',
    '{',
    'null',
    '[]',
    '{"a":1}',
    '\xff',
    JSON.stringify({ ...plan, digest: '0'.repeat(64) }),
  ];
  for (const text of contents) {
    writeFileSync(join(folder, 'plan.json'), text);
    t.match(await file.read(), /^plan\.json: /, text.slice(0, 20));
  }
  mkdirSync(join(folder, 'sub', 'plan.json'), { recursive: true });
  t.match(await new PlanFile(join(folder, 'sub')).read(), /EISDIR/);
});

t.test('a plan that cannot be written leaves the old one, and says why', async (t) => {
  const folder = t.testdir({});
  const file = new PlanFile(folder);
  await file.write(plan);
  const old = readFileSync(join(folder, 'plan.json'));
  // Where the new one would be written first stands a folder.
  const temporary = join(folder, `plan.json.${process.pid}.tmp`);
  mkdirSync(join(temporary, 'x'), { recursive: true });
  t.match(await file.write({ ...plan, generation: 2 }), /^cannot keep the plan in .*EISDIR/);
  t.ok(readFileSync(join(folder, 'plan.json')).equals(old));
  t.ok(existsSync(temporary));
});
