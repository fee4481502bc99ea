// A scripted server as a process of its own: traffic, /healthz and /metrics on one port, which closes when the server is
// down; the bench talks to another port that never does. Keeps the number of every request that reached it.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/core/random.ts';
import type { ServerTracks } from './script.ts';
import { type Outcome, ServerModel } from './server-model.ts';
import { exposition, loadReport } from './server-pages.ts';
import { NUMBER_HEADER, SERVED_BY_HEADER, type ServerResult, type ServerSetup } from './wire.ts';

const setup = JSON.parse(process.argv[2] ?? '{}') as ServerSetup;

const WATCH_MS = 25;
/** Longer than any proxy keeps an idle connection: none may meet a closing one by chance. */
const KEEP_ALIVE_MS = 300_000;
const BODY = 'x'.repeat(256);
const STATUS: Readonly<Record<Exclude<Outcome, 'gone'>, number>> = { ok: 200, error: 500, full: 503 };
const DELAY_RESOLUTION_MS = 20;

const model = new ServerModel(setup.tracks as ServerTracks, seededRandom(setup.seed), {
  nowMs: () => systemClock.monotonicMs(),
  afterMs: (ms, work) => void setTimeout(work, ms),
});
const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
const received: (readonly [number: number, atMs: number])[] = [];
let startMs = Number.POSITIVE_INFINITY;

const traffic = http.createServer((request, response) => {
  const path = request.url ?? '/';
  request.resume();
  if (path === '/healthz') model.whenMoving(() => response.end('ok'));
  else if (path === '/metrics') model.whenMoving(() => response.end(exposition(model.metrics())));
  else request.on('end', () => serve(request, response));
});
traffic.keepAliveTimeout = KEEP_ALIVE_MS;

function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
  const number = Number(request.headers[NUMBER_HEADER] ?? Number.NaN);
  if (Number.isInteger(number)) received.push([number, systemClock.monotonicMs() - startMs]);
  model.offer((outcome) => {
    // Its connection is reset with all others.
    if (outcome === 'gone') return;
    response.writeHead(STATUS[outcome], {
      [SERVED_BY_HEADER]: setup.name,
      'endpoint-load-metrics': loadReport(model.metrics()),
    });
    response.end(BODY);
  });
}

let isListening = false;

function watch(): void {
  const isUp = model.isUp();
  if (isUp === isListening) return;
  isListening = isUp;
  if (isUp) {
    traffic.listen(setup.port, '127.0.0.1');
    return;
  }
  traffic.close();
  for (const socket of sockets) socket.resetAndDestroy();
}

const sockets = new Set<import('node:net').Socket>();
traffic.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
});
traffic.on('error', (error) => {
  process.stderr.write(`port ${setup.port}: ${error.message}\n`);
  process.exit(1);
});

const admin = http.createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://bench');
  if (url.pathname === '/begin') {
    startMs = Number(url.searchParams.get('at'));
    model.begin(startMs);
    received.length = 0;
    delay.enable();
    delay.reset();
    response.end();
    return;
  }
  const loopDelayMs = Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS);
  const result: ServerResult = { name: setup.name, received, deaths: model.deaths, loopDelayMs };
  response.end(url.pathname === '/result' ? JSON.stringify(result) : '');
});

watch();
setInterval(watch, WATCH_MS);
admin.listen(0, '127.0.0.1', () => {
  process.stdout.write(`admin ${(admin.address() as AddressInfo).port}\n`);
});
