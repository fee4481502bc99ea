// `--sample-servers`: small real HTTP servers on those loopback addresses of the configuration that nothing
// serves, so that a first `npm start` has somewhere to send requests. They say who they are and what they
// got, and answer health checks.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';

export interface SampleServers {
  readonly started: readonly string[];
  close(): Promise<void>;
}

export interface SampledRegion {
  readonly id: string;
  readonly servers?: readonly { readonly url: string }[] | undefined;
}

export async function startSampleServers(regions: readonly SampledRegion[]): Promise<SampleServers> {
  const wanted = regions.flatMap((region) =>
    (region.servers ?? []).map(({ url }) => ({ region: region.id, url: new URL(url) })),
  );
  const servers: Server[] = [];
  const started: string[] = [];
  for (const { region, url } of wanted) {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const isLocal = host === '::1' || host === 'localhost' || host.startsWith('127.');
    if (url.protocol !== 'http:' || !isLocal || (await answers(host, Number(url.port)))) continue;
    const server = createServer((request, response) => answer(request, response, region, url.host));
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(Number(url.port), host, () => resolve());
    });
    servers.push(server);
    started.push(`${region} ${url.origin}`);
  }
  return {
    started,
    close: async () => {
      await Promise.all(servers.map((server) => closeServer(server)));
    },
  };
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (result: boolean) => (): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', finish(true));
    socket.once('error', finish(false));
  });
}

function answer(request: IncomingMessage, response: ServerResponse, region: string, server: string): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => {
    const body = JSON.stringify({
      region,
      server,
      method: request.method,
      url: request.url,
      route: request.headers['foreshard-route'],
      requestId: request.headers['foreshard-request-id'],
      bodyBytes: bytes,
    });
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body) + 1,
    });
    response.end(`${body}\n`);
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
