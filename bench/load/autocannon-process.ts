// Program: one autocannon run, described by a LoadRequest as JSON argument; its result as JSON on stdout.

import autocannon from 'autocannon';
import type { LoadRequest } from './load-generator.ts';

const load = JSON.parse(process.argv[2] ?? '{}') as LoadRequest;
const body = load.bodyBytes > 0 ? { body: 'x'.repeat(load.bodyBytes) } : {};
const requests = Array.from({ length: load.keys }, (_, i) => ({
  method: load.method,
  headers: { [load.keyHeader]: `user-${i + 1}` },
  ...body,
}));
const result = await autocannon({
  url: load.url,
  connections: load.connections,
  duration: load.seconds,
  timeout: 10,
  requests,
});
process.stdout.write(JSON.stringify(result));
