// Program: a server that is stopped (SIGSTOP) once it listens, with a queue for one connection.
// Started by swallowed-connects.ts with { port } as JSON argument.

import http from 'node:http';

const { port } = JSON.parse(process.argv[2] ?? '{}') as { port: number };
http
  .createServer((_, response) => {
    response.shouldKeepAlive = false;
    response.writeHead(200).end();
  })
  .listen({ host: '127.0.0.1', port, backlog: 1 });
