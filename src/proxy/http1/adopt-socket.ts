// Accepted sockets that read into memory of ours. Node offers that (`onread`) for sockets that it connects,
// not for those that a server accepts; there every read makes a new buffer, which costs a third of a small
// request's reading and lets tens of megabytes of dead buffers pile up behind an upload. So the accepted
// handle is moved into a socket made with `onread`. That is Node's inside, hence in one file, and where it
// does not work (another kind of socket, another Node) the ordinary events do the same, more dearly.

import { Socket } from 'node:net';

export interface Reader {
  /** Memory for the next read. */
  nextBuffer(): Buffer;
  /** `size` bytes were read into `buffer`; they are overwritten once this returns and `nextBuffer` gives it again. */
  onRead(buffer: Buffer, size: number): void;
}

// More than the largest single write: else Node emits `drain` after each, taken by the kernel or not.
const WRITABLE_BYTES = 131_072;

/** A socket as `net.Server` with `pauseOnConnect` gives it. */
interface AcceptedSocket {
  _handle?: object | null;
}

/** @returns the socket to use from now on; it reads until it is paused. */
export function adoptSocket(accepted: Socket, reader: Reader): Socket {
  const holder = accepted as unknown as AcceptedSocket;
  const handle = holder._handle;
  if (handle === undefined || handle === null) return readByEvents(accepted, reader);
  let current = reader.nextBuffer();
  const socket = new Socket({
    handle,
    writableHighWaterMark: WRITABLE_BYTES,
    onread: {
      buffer: () => {
        current = reader.nextBuffer();
        return current;
      },
      callback: (size: number) => {
        reader.onRead(current, size);
        return true;
      },
    },
  } as ConstructorParameters<typeof Socket>[0]);
  holder._handle = null;
  socket.resume();
  return socket;
}

function readByEvents(socket: Socket, reader: Reader): Socket {
  socket.on('data', (chunk: Buffer) => reader.onRead(chunk, chunk.length));
  socket.resume();
  return socket;
}
