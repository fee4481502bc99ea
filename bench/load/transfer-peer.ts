// Program: the server of a large transfer, in a process of its own so that its memory is not the
// bench's. GET /source?bytes=N sends as fast as it may; POST /sink?rate=N reads N bytes/s and answers
// with what it read. Started by transfer.ts with { port } as JSON argument.

import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../../src/core/clock.ts';
import { patternStream, readSlowly } from './pattern.ts';

const { port } = JSON.parse(process.argv[2] ?? '{}') as { port: number };

const server = http.createServer({ requestTimeout: 0, keepAliveTimeout: 120_000 }, (request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(port, '127.0.0.1');

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://peer');
  if (url.pathname === '/source') {
    const bytes = Number(url.searchParams.get('bytes'));
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes });
    await pipeline(patternStream(bytes), response);
    return;
  }
  if (url.pathname === '/sink') {
    const digest = await readSlowly(request, Number(url.searchParams.get('rate')), systemClock);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(digest));
    return;
  }
  request.resume();
  response.writeHead(url.pathname === '/healthz' ? 200 : 404).end();
}
