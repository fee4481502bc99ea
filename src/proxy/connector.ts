// Opens connections for the pools, with a deadline from our wheel. Own instead of undici's connector, whose
// timer is coarse and shared; TLS to servers is verified as Node does by default.

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import { type TimerWheel, WheelTimer } from './timer-wheel.ts';

class ConnectTimer extends WheelTimer {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  override onExpire(): void {
    this.#socket.destroy(
      Object.assign(new Error('no connection in time'), { code: 'UND_ERR_CONNECT_TIMEOUT' }),
    );
  }
}

// Both directions buffer this much per socket before backpressure stops the sender.
const STREAM_BUFFER_BYTES = 65_536;

/** @param timeoutMs longest wait for a connection. */
export function connectWithin(timeoutMs: number, wheel: TimerWheel): buildConnector.connector {
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
    const isSecure = options.protocol === 'https:';
    const port = Number(options.port) || (isSecure ? 443 : 80);
    const tuning = { noDelay: true, highWaterMark: STREAM_BUFFER_BYTES };
    const servername = options.servername ?? host;
    const socket = isSecure
      ? connectTls({ host, port, servername, ALPNProtocols: ['http/1.1'], ...tuning })
      : connectTcp({ host, port, ...tuning });
    const timer = new ConnectTimer(socket);
    wheel.arm(timer, timeoutMs);
    const settle = (error: Error | null): void => {
      wheel.disarm(timer);
      socket.off('error', settle);
      socket.off(isSecure ? 'secureConnect' : 'connect', opened);
      // Later errors are undici's, which listens from here on; between the two nobody may throw.
      socket.on('error', ignore);
      if (error === null) callback(null, socket);
      else callback(error, null);
    };
    const opened = (): void => settle(null);
    socket.once('error', settle);
    socket.once(isSecure ? 'secureConnect' : 'connect', opened);
    return socket;
  };
}

function ignore(): void {}
