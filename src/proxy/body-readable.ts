// A streamed request body as the Readable that undici wants. It stands between client and server so that a
// failed attempt, which destroys what it was given, does not destroy the client's connection: the client
// still has to be told.

import { Readable } from 'node:stream';
import type { OutgoingBody, UpstreamHandler } from './upstream.ts';

type Streamed = Extract<OutgoingBody, { kind: 'streamed' }>;

// As much as one direction of one stream may hold.
const STREAM_BUFFER_BYTES = 65_536;

export function bodyReadable(body: Streamed, handler: UpstreamHandler): Readable {
  const { rest } = body;
  let hasBegun = false;
  const readable = new Readable({
    highWaterMark: STREAM_BUFFER_BYTES,
    read() {
      if (hasBegun) {
        rest.resume();
        return;
      }
      // Nothing is taken from the client before a server is there to take it, so that an attempt that
      // cannot connect leaves the body whole for the next.
      hasBegun = true;
      if (body.prefix !== null && body.prefix.length > 0) readable.push(body.prefix);
      rest.stream({
        data: (chunk) => {
          const goesOn = readable.push(Buffer.from(chunk));
          handler.onBodyProgress(!goesOn);
          return goesOn;
        },
        end: () => readable.push(null),
        failed: (why) => readable.destroy(new Error(`request body ${why}`)),
      });
    },
    destroy(error, callback) {
      rest.pause();
      callback(error);
    },
  });
  readable.on('error', () => {});
  return readable;
}
