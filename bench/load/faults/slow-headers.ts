// F9: thousands of clients that never finish their heads must neither slow down the others nor stay.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../src/core/clock.ts';
import { formatMicros } from '../../report/table.ts';
import { demandDescriptors } from '../memory-options.ts';
import { FaultServers } from './fault-servers.ts';
import { applyLoad, countLost, countOther } from './load.ts';
import {
  atLeast,
  atMost,
  exactly,
  type Scenario,
  type ScenarioResult,
  type ScenarioRig,
} from './scenario.ts';

const GOOD_RATE = 500;
const GOOD_CONNECTIONS = 32;
/** At once in the act of connecting: below every accept queue. */
const OPENING = 128;
const DRIP_MS = 10_000;
/** A head is cut at most this long after its time. */
const CUT_SLACK_MS = 5000;
const CONNECT_LIMIT_MS = 10_000;

export const slowHeaders: Scenario = {
  id: 'F9',
  title: 'Clients that never finish their heads, and good ones beside them',
  run,
};

async function run(rig: ScenarioRig): Promise<ScenarioResult> {
  const { clock, quick } = rig;
  const count = quick ? 2000 : 10_000;
  const limitMs = quick ? 10_000 : 60_000;
  demandDescriptors(count);
  const servers = await FaultServers.start(2, rig.folder, clock);
  rig.atEnd(() => servers.stop());
  const proxy = await rig.startForeshard(
    { east: servers.ports.slice(0, 1), west: servers.ports.slice(1) },
    { limits: { headerTimeout: `${limitMs}ms`, connections: count + 1000 } },
  );
  const good = { connections: GOOD_CONNECTIONS, rate: GOOD_RATE };
  await applyLoad(proxy, { ...good, durationMs: 3000 }, clock);
  rig.show(`F9: opening ${count} connections with half a head`);
  const slow = new SlowHeads(Number(new URL(proxy.url).port), clock);
  rig.atEnd(() => slow.close());
  await slow.open(count);
  rig.show(`F9: ${GOOD_RATE}/s beside ${count} slow heads, ${(limitMs + CUT_SLACK_MS) / 1000} s`);
  const load = await applyLoad(proxy, { ...good, durationMs: limitMs + CUT_SLACK_MS }, clock);
  const ages = slow.cutAges();
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const { result } = load;
  return {
    figures: [
      exactly('slow connections that were held', slow.opened, count),
      exactly('good requests lost', countLost(result) + countOther(result, 200), 0),
      atMost('good p99', result.latency.percentile(99), 20_000, formatMicros),
      exactly('slow connections left', count - ages.length, 0),
      atLeast('first cut at', Math.min(...ages), limitMs, seconds),
      atMost('last cut at', Math.max(...ages), limitMs + CUT_SLACK_MS, seconds),
    ],
    charts: [],
  };
}

/** Connections that send one byte of a head now and then. */
class SlowHeads {
  readonly #port: number;
  readonly #clock: Clock;
  readonly #sockets = new Set<net.Socket>();
  readonly #ages: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  opened = 0;

  constructor(port: number, clock: Clock) {
    this.#port = port;
    this.#clock = clock;
  }

  async open(count: number): Promise<void> {
    for (let left = count; left > 0; left -= OPENING) {
      await Promise.all(Array.from({ length: Math.min(OPENING, left) }, () => this.#openOne()));
      await sleep(1);
    }
    this.#timer = setInterval(() => {
      for (const socket of this.#sockets) socket.write('a');
    }, DRIP_MS);
  }

  /** How old each was when it was cut, milliseconds from its connecting. */
  cutAges(): readonly number[] {
    return this.#ages;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #openOne(): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect({ host: '127.0.0.1', port: this.#port });
      const timer = setTimeout(() => socket.destroy(), CONNECT_LIMIT_MS);
      let connectedMs = Number.NaN;
      socket.once('connect', () => {
        clearTimeout(timer);
        connectedMs = this.#clock.monotonicMs();
        this.opened += 1;
        this.#sockets.add(socket);
        socket.write('GET / HTTP/1.1\r\nhost: slow\r\nx-slow: ');
        resolve();
      });
      socket.resume();
      socket.on('error', () => undefined);
      socket.once('close', () => {
        clearTimeout(timer);
        if (this.#sockets.delete(socket)) this.#ages.push(this.#clock.monotonicMs() - connectedMs);
        resolve();
      });
    });
  }
}
