// Pieces that proxy.yaml and rem.yaml share: listeners, the control port, logs, health, limits, the end.

import { z } from 'zod';
import {
  anyAddress,
  decimal,
  duration,
  form,
  secret,
  share,
  size,
  tcpAddress,
  text,
  whole,
} from './quantities.ts';

const filePath = text(4096);

const risk = decimal(0, 1).optional();

/** What a route may say instead of pae.thresholds. */
export const ownRiskThresholds = z.strictObject({
  low: risk.describe('Risk up to which a region keeps its base weight.'),
  high: risk.describe('Risk at which a tenth of it is left.'),
  evict: risk.describe('Risk above which nothing is left.'),
  critical: risk.describe('Risk above which critical requests avoid a region.'),
});

export const listener = z.strictObject({
  address: anyAddress.describe('IP:PORT, or unix:/path (then the process has one worker).'),
  tls: z
    .strictObject({
      cert: filePath.describe('File of the certificate chain, PEM.'),
      key: filePath.describe('File of the private key, PEM.'),
      clientCa: filePath.optional().describe('File of the CA that client certificates must come from.'),
    })
    .optional()
    .describe('Speak TLS on this listener.'),
  proxyProtocol: z
    .boolean()
    .prefault(false)
    .describe('Expect PROXY v1 or v2 before the first request of a connection.'),
});

export const control = z.strictObject({
  address: tcpAddress.prefault('127.0.0.1:9090').describe('API, dashboard, /metrics, /healthz, /readyz.'),
  token: secret.optional().describe('Bearer token; required when the address is not loopback.'),
});

export const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
    .prefault('info')
    .describe('Least important lines that are written.'),
  access: z
    .enum(['off', 'sampled', 'all'])
    .prefault('sampled')
    .describe('Lines for requests: none, the share of trace.sample, or all.'),
});

const outlier = z.strictObject({
  enabled: z.boolean().prefault(true).describe('Judge servers by the answers to real requests.'),
  consecutive5xx: whole(1, 1000).prefault(5).describe('Answers 500 to 599 in a row that eject a server.'),
  consecutiveConnectFailures: whole(1, 1000)
    .prefault(3)
    .describe('Failed connections in a row that eject a server.'),
  baseEjection: duration('100ms', '1h')
    .prefault('30s')
    .describe('First ejection; each further one is longer by this.'),
  maxEjection: duration('100ms', '24h').prefault('300s').describe('Longest ejection.'),
  maxEjected: share(0, 1)
    .prefault('50%')
    .describe('Share of a region that may be ejected, one server at least; never its last one. 0 = none.'),
});

export const health = z.strictObject({
  active: z.boolean().prefault(true).describe('false: no probes, only outlier detection.'),
  path: form(/^\/[^\s#]{0,2047}$/, 'a path', '/healthz')
    .prefault('/healthz')
    .describe('Probed with GET; 200 to 299 is a pass.'),
  timeout: duration('10ms', '60s').prefault('1s').describe('Longest wait for the answer to a probe.'),
  unhealthyThreshold: whole(1, 100).prefault(3).describe('Failures in a row that make a server unhealthy.'),
  healthyThreshold: whole(1, 100).prefault(2).describe('Passes in a row that make it healthy again.'),
  outlier: outlier.prefault({}).describe('Passive detection.'),
  panicThreshold: share(0, 1)
    .prefault('50%')
    .describe(
      "Healthy share of the servers in a route's regions below which health is ignored, residency never.",
    ),
  slowStart: duration('0s', '1h')
    .prefault('30s')
    .describe("Ramp of a recovered server's share; never at proxy start."),
});

export const limits = z.strictObject({
  headerBytes: size('1KiB', '1MiB').prefault('16KiB').describe('Header block of a request.'),
  headerFields: whole(8, 2000).prefault(100).describe('Fields of a request.'),
  targetBytes: size('128B', '64KiB').prefault('8KiB').describe('Request target.'),
  trailerFields: whole(0, 1000).prefault(64).describe('Trailer fields of a request or a response.'),
  responseHeaderBytes: size('1KiB', '1MiB').prefault('64KiB').describe("Header block of a server's answer."),
  headerTimeout: duration('1s', '10m').prefault('60s').describe('Time for a whole request header block.'),
  keepAlive: duration('1s', '1h').prefault('75s').describe('Longest idle time of a client connection.'),
  connections: whole(1, 1_000_000).prefault(10_000).describe('Client connections, over all workers.'),
  inFlightPerServer: whole(1, 100_000).prefault(256).describe('Requests at one server, over all workers.'),
});

export const workers = z
  .union([z.literal('auto'), whole(1, 256)])
  .meta({ allowed: 'auto or 1 to 256' })
  .prefault('auto')
  .describe('Threads of the data plane; auto = cores, or 1 with a unix listener.');

export const shutdown = z
  .strictObject({
    grace: duration('0s', '1h').prefault('30s').describe('Time for requests to finish after SIGTERM.'),
  })
  .prefault({})
  .describe('What happens at the end.');
