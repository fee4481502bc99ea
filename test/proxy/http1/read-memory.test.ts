import t, { type Test } from 'tap';
import { proxyConfig, startProxy } from '../../rig/proxy.ts';
import { eventually, openWire, startWireServer, UNWATCHED, type Wire } from '../../rig/wire.ts';

const server = await startWireServer(t);
const proxy = await startProxy(
  t,
  proxyConfig({
    health: UNWATCHED,
    regions: [{ id: 'only', servers: [server.url] }],
    routes: [{ id: 'all', retry: { attempts: 1 } }],
  }),
);

const get = (path: string, version = '1.1'): string =>
  `GET ${path} HTTP/${version}\r\nHost: a.example\r\n\r\n`;

/** Bytes of which every four say where they belong. */
function pattern(kind: number, length: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: length / 4 }, (_, i) => kind * 0x1000_0000 + i).buffer);
}

interface LateClient {
  /** Everything from now on, until `length` bytes have come. */
  take(length: number): Promise<Buffer>;
}

/** A client that sends at once and takes nothing until it is told to. */
async function lateClient(t: Test, requests: string): Promise<LateClient> {
  const { socket } = await openWire(t, proxy.port);
  socket.removeAllListeners('data');
  socket.pause();
  socket.write(requests);
  return {
    take: async (length) => {
      const chunks: Buffer[] = [];
      let got = 0;
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        got += chunk.length;
      });
      socket.resume();
      await eventually(() => got >= length, `${length} bytes arrive`, 10_000);
      return Buffer.concat(chunks);
    },
  };
}

/** Resolves when nothing has been written for a while. */
async function stoodStill(count: () => number): Promise<void> {
  let last = -1;
  let same = 0;
  await eventually(() => {
    same = count() === last ? same + 1 : 0;
    last = count();
    return same >= 20 && last > 0;
  }, 'the server stands still');
}

t.test('what a client takes late is what the server sent, whatever was read meanwhile', async (t) => {
  const LARGE = 16 * 1024 * 1024;
  let written = 0;
  const send = (wire: Wire, bytes: Buffer, frame: (piece: Buffer) => Buffer): void => {
    for (let at = 0; at < bytes.length; at += 100_000) {
      wire.socket.write(frame(bytes.subarray(at, at + 100_000)), () => {
        written += 1;
      });
    }
  };
  const chunk = (piece: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
  for (const kind of [1, 2]) {
    server.on(`/by-length-${kind}`, (_, wire) => {
      wire.write(`HTTP/1.1 200 OK\r\ncontent-length: ${LARGE}\r\n\r\n`);
      send(wire, pattern(kind, LARGE), (piece) => piece);
    });
    server.on(`/by-chunks-${kind}`, (_, wire) => {
      wire.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      send(wire, pattern(kind + 2, LARGE), chunk);
      wire.write('0\r\n\r\n');
    });
  }
  const clients = await Promise.all(
    ['/by-length-1', '/by-chunks-1', '/by-length-2', '/by-chunks-2'].map((path) =>
      lateClient(t, get(path, path.includes('chunks') ? '1.0' : '1.1')),
    ),
  );
  await stoodStill(() => written);
  t.ok(written * 100_000 < 4 * LARGE, `held at ${written * 100_000} bytes`);
  const taken = await Promise.all(clients.map((client) => client.take(LARGE)));
  for (const [i, kind] of [1, 3, 2, 4].entries()) {
    t.ok(pattern(kind, LARGE).equals(taken[i]!.subarray(-LARGE)), `body ${kind} is whole`);
  }
});

t.test(
  'the end of an answer that waits for its client survives the next answers of its server',
  async (t) => {
    const SIZE = 65_536;
    const COUNT = 300;
    let served = 0;
    for (const kind of [1, 2]) {
      server.on(`/short-${kind}`, (_, wire) => {
        served += 1;
        const head = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${SIZE}\r\n\r\n`);
        wire.socket.write(Buffer.concat([head, pattern(kind, SIZE)]));
      });
    }
    const late = await lateClient(t, get('/short-1').repeat(COUNT));
    await stoodStill(() => served);
    t.ok(served < COUNT, `held at answer ${served}`);
    const other = await openWire(t, proxy.port);
    for (let i = 1; i <= 20; i++) {
      other.write(get('/short-2'));
      await other.until((text) => text.length >= i * SIZE);
    }
    const all = await late.take(COUNT * SIZE);
    const bodies: Buffer[] = [];
    for (let at = all.indexOf('\r\n\r\n'); at !== -1; at = all.indexOf('\r\n\r\n', at + 4 + SIZE)) {
      bodies.push(all.subarray(at + 4, at + 4 + SIZE));
    }
    await eventually(() => served >= COUNT + 20, 'all are served');
    const wanted = pattern(1, SIZE);
    // The last may still be on its way.
    t.ok(bodies.length >= COUNT - 2, `${bodies.length} answers`);
    t.ok(
      bodies.slice(0, -2).every((body) => wanted.equals(body)),
      'each is its own, whole',
    );
  },
);
