// Program: servers whose speed and number of places can be changed while they run, as bottlenecks and patients
// of the fault scenarios. One port each, one control port for all; /healthz is always answered at once, so that
// only traffic can find out. Started by fault-servers.ts with { ports, controlPort } as one JSON argument.

import http from 'node:http';

interface FaultOriginOptions {
  readonly ports: readonly number[];
  readonly controlPort: number;
}

const BODY = Buffer.alloc(1024, 'x');
const HEAD = { 'content-type': 'application/octet-stream', 'content-length': BODY.length };
const KEEP_ALIVE_MS = 120_000;

class Patient {
  delayMs = 0;
  /** Requests served at once; the others wait in line. */
  places = Number.POSITIVE_INFINITY;
  inFlight = 0;
  /** Most requests here at once since the last `set`. */
  peak = 0;
  served = 0;
  #busy = 0;
  readonly #line: http.ServerResponse[] = [];

  take(request: http.IncomingMessage, response: http.ServerResponse): void {
    request.resume();
    if (request.url === '/healthz') {
      response.writeHead(200).end();
      return;
    }
    this.inFlight += 1;
    this.peak = Math.max(this.peak, this.inFlight);
    response.once('close', () => {
      this.inFlight -= 1;
    });
    this.#line.push(response);
    this.#serveNext();
  }

  #serveNext(): void {
    while (this.#busy < this.places) {
      const response = this.#line.shift();
      if (response === undefined) return;
      if (response.destroyed) continue;
      this.#busy += 1;
      if (this.delayMs === 0) this.#answer(response);
      else setTimeout(() => this.#answer(response), this.delayMs);
    }
  }

  #answer(response: http.ServerResponse): void {
    this.#busy -= 1;
    this.served += 1;
    if (!response.destroyed) response.writeHead(200, HEAD).end(BODY);
    this.#serveNext();
  }
}

const options = JSON.parse(process.argv[2] ?? '{}') as FaultOriginOptions;
const patients = options.ports.map(() => new Patient());

options.ports.forEach((port, i) => {
  const server = http.createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 },
    (request, response) => patients[i]!.take(request, response),
  );
  server.listen({ host: '127.0.0.1', port, backlog: 1024 });
});

/** GET /set?server=0&delay=5&places=8 changes one; GET /stats tells of all. */
http
  .createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://control');
    if (url.pathname === '/set') {
      const patient = patients[Number(url.searchParams.get('server'))]!;
      patient.delayMs = Number(url.searchParams.get('delay'));
      patient.places = Number(url.searchParams.get('places') ?? Number.POSITIVE_INFINITY);
      patient.peak = patient.inFlight;
    }
    const stats = patients.map(({ inFlight, peak, served }) => ({ inFlight, peak, served }));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(stats));
  })
  .listen(options.controlPort, '127.0.0.1');
