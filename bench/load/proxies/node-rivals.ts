// The proxies in Node that stand beside Foreshard: http-proxy-3 as people use it, and references that
// show what parts of the work cost (bytes only; node:http on both sides; node:http and undici).

import { join } from 'node:path';
import { packageVersion } from '../../report/machine.ts';
import type { ProxyDefinition } from './definition.ts';
import type { NodeProxyKind, NodeProxyOptions } from './node-proxy.ts';

const PROGRAM = new URL('./node-proxy.ts', import.meta.url).pathname;

function nodeProxy(id: NodeProxyKind, kind: ProxyDefinition['kind'], version: string): ProxyDefinition {
  return {
    id,
    kind,
    presence: async () => ({ kind: 'present', version }),
    launch: (setup) => {
      const { port, origins, workers, job } = setup;
      const options: NodeProxyOptions = { kind: id, port, origins, workers, job };
      return {
        files: [],
        command: { command: process.execPath, args: [PROGRAM, JSON.stringify(options)] },
        readyUrl: `http://127.0.0.1:${port}/healthz`,
      };
    },
  };
}

const onNode = `Node ${process.versions.node}`;

export const httpProxy3 = nodeProxy(
  'http-proxy-3',
  'product',
  `${packageVersion(join('node_modules', 'http-proxy-3'))}, ${onNode}`,
);
export const nodeTcpPipe = nodeProxy('node-tcp-pipe', 'reference', onNode);
export const nodeUndiciBare = nodeProxy(
  'node-undici-bare',
  'reference',
  `undici ${packageVersion(join('node_modules', 'undici'))}, ${onNode}`,
);
export const nodeHttpRequest = nodeProxy('node-http-request', 'reference', onNode);
