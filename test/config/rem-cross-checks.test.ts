import t from 'tap';
import { REM_DOCUMENT } from '../../src/config/document.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

/** Problems of a manager's file with these servers. */
function problemsOf(...servers: readonly string[]): string[] {
  const text = `region: a
listen: [ { address: "127.0.0.1:9500" }, { address: "0.0.0.0:80" } ]
control: { address: "127.0.0.1:9501" }
dataUrl: http://10.0.0.1:9500
servers: ${JSON.stringify(servers)}
`;
  const loaded = loadConfig({ path: 'f', text, env: {} }, REM_DOCUMENT);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

t.test('a server is not where the manager itself listens', async (t) => {
  t.strictSame(
    problemsOf('http://127.0.0.1:9502', 'http://10.0.0.2:9500', 'http://10.0.0.2', 'http://shop'),
    [],
  );
  for (const url of ['http://127.0.0.1:9500', 'http://127.0.0.1:9501', 'http://127.0.0.1'])
    t.match(
      problemsOf('http://127.0.0.1:9502', url),
      [/servers\[1\]: must be a server's, given .* listens/],
      url,
    );
});
