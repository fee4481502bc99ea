// One large body through one proxy, with a peer that is slower than the other side: whatever the proxy
// does not pass back as back pressure piles up in its memory, which is read meanwhile.

import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../src/core/clock.ts';
import { type Digest, patternStream, readSlowly } from './pattern.ts';
import type { RunningProxy } from './rig.ts';

/** download: the client is slow. upload: the server is slow. */
export type Direction = 'download' | 'upload';

export interface TransferOptions {
  readonly direction: Direction;
  readonly bytes: number;
  /** Of the slow side, each transfer. */
  readonly bytesPerSecond: number;
  readonly parallel: number;
  /** SHA-256 of the body. */
  readonly digest: string;
  readonly clock: Clock;
}

export interface TransferFigures {
  readonly direction: Direction;
  readonly seconds: number;
  readonly rssBeforeBytes: number;
  readonly rssPeakBytes: number;
  readonly growthBytes: number;
  readonly cpuMicrosPerMebibyte: number;
  /** Seconds from the start, resident bytes. */
  readonly samples: readonly (readonly [number, number])[];
}

const SAMPLE_EVERY_MS = 50;
/** Over what the slow side needs: a proxy that stalls must not hold up the bench for ever. */
const SLACK_FACTOR = 8;
const SLACK_MS = 20_000;

/** Gives a sentence when a body was cut or changed on the way. */
export async function runTransfer(
  proxy: RunningProxy,
  rssBeforeBytes: number,
  options: TransferOptions,
): Promise<TransferFigures | string> {
  const { clock, direction, bytes, bytesPerSecond, parallel } = options;
  const samples: [number, number][] = [];
  const startMs = clock.monotonicMs();
  const sample = (): void => {
    const usage = proxy.process.usage();
    if (usage !== null) samples.push([(clock.monotonicMs() - startMs) / 1000, usage.rssBytes]);
  };
  const before = proxy.process.usage();
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  const limitMs = Math.ceil(SLACK_MS + (SLACK_FACTOR * bytes * 1000) / bytesPerSecond);
  const signal = AbortSignal.timeout(limitMs);
  let digests: Digest[];
  try {
    const one = direction === 'download' ? download : upload;
    digests = await Promise.all(Array.from({ length: parallel }, () => one(proxy.url, options, signal)));
  } catch (error) {
    return `${direction} broke after ${((clock.monotonicMs() - startMs) / 1000).toFixed(1)} s: ${(error as Error).message}`;
  } finally {
    clearInterval(timer);
  }
  sample();
  const seconds = (clock.monotonicMs() - startMs) / 1000;
  const wrong = digests.find((digest) => digest.sha256 !== options.digest || digest.bytes !== bytes);
  if (wrong !== undefined) return `${direction} of ${bytes} bytes arrived as ${wrong.bytes} other ones`;
  const rssPeakBytes = Math.max(...samples.map(([, rss]) => rss));
  const cpuMicros = (proxy.process.usage()?.cpuMicros ?? Number.NaN) - (before?.cpuMicros ?? Number.NaN);
  return {
    direction,
    seconds,
    rssBeforeBytes,
    rssPeakBytes,
    growthBytes: rssPeakBytes - rssBeforeBytes,
    cpuMicrosPerMebibyte: cpuMicros / ((bytes * parallel) / 1024 ** 2),
    samples,
  };
}

async function download(url: string, options: TransferOptions, signal: AbortSignal): Promise<Digest> {
  const request = http.get(`${url}/source?bytes=${options.bytes}`, { agent: false, signal });
  const response = await answerOf(request);
  return readSlowly(response, options.bytesPerSecond, options.clock);
}

async function upload(url: string, options: TransferOptions, signal: AbortSignal): Promise<Digest> {
  const headers = { 'content-type': 'application/octet-stream', 'content-length': options.bytes };
  const target = `${url}/sink?rate=${Math.round(options.bytesPerSecond)}`;
  const request = http.request(target, { method: 'POST', agent: false, headers, signal });
  const answer = answerOf(request);
  // Both at once: a proxy that refuses the body answers before all of it is sent.
  const [response] = await Promise.all([answer, pipeline(patternStream(options.bytes), request)]);
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Digest;
}

async function answerOf(request: http.ClientRequest): Promise<http.IncomingMessage> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  if (response.statusCode !== 200) throw new Error(`the answer was ${response.statusCode}`);
  return response;
}
