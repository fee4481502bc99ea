// JSON lines on standard output, from every thread by itself: a worker's lines do not pass through the main
// thread. Buffered and flushed each second, because one write per access line costs more than the request's
// decision.

import { destination, type Logger as PinoLogger, pino } from 'pino';

export interface LoggerOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** `main`, `worker-0`, ... */
  readonly thread: string;
  /** File descriptor; 1 = standard output. */
  readonly fd?: number;
}

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  setLevel(level: LoggerOptions['level']): void;
  /**
   * Writes out what is buffered; for the end of a thread. Resolves at the latest after a second: whoever reads
   * the lines may be gone or stand still, and that must not keep the proxy from ending.
   */
  flush(): Promise<void>;
}

// Lines are written when so many bytes have gathered, or after a second.
const BUFFER_BYTES = 8192;
const FLUSH_MS = 1000;
// Lines that a reader has not taken wait in memory up to this, some 10,000 of them; then they are dropped.
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

export function createLogger(options: LoggerOptions): Logger {
  const sink = destination({
    dest: options.fd ?? 1,
    sync: false,
    minLength: BUFFER_BYTES,
    maxLength: MAX_WAITING_BYTES,
  });
  // A closed pipe or a full disk must not end the proxy; what cannot be written is lost.
  sink.on('error', () => {});
  const log: PinoLogger = pino(
    {
      level: options.level,
      base: { thread: options.thread },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  const flushing = setInterval(() => sink.flush(), FLUSH_MS);
  flushing.unref();
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    setLevel: (level) => {
      log.level = level;
    },
    // Not flushSync: with a closed pipe it tries again for ever.
    flush: () =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, FLUSH_MS);
        sink.flush(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
