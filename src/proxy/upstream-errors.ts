// Errors of undici and of sockets -> our reasons. What matters to the walk: may a byte have reached the
// server, is it the server's fault, and which word says it.

import type { AttemptFailure, Reason } from '../core/reasons.ts';

// Out of descriptors, ports or memory: our side, which says nothing about the server.
const LOCAL_CAUSES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

const REASON_BY_CODE: Readonly<Record<string, Reason>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ETIMEDOUT: 'connect_timeout',
  UND_ERR_HEADERS_OVERFLOW: 'upstream_too_large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'upstream_reset',
};

interface CodedError extends Error {
  readonly code?: string;
}

/**
 * @param isConnected whether the request had a connection, so that bytes of it may have been sent.
 * @param hasHead whether the response head was relayed already.
 */
export function failureOf(error: CodedError, isConnected: boolean, hasHead: boolean): AttemptFailure {
  const code = error.code ?? '';
  return {
    kind: 'failed',
    reason: reasonOf(error, code, isConnected, hasHead),
    sent: isConnected ? 'maybe' : 'nothing',
    blamesServer: !LOCAL_CAUSES.has(code),
    cause: `${code || error.name}: ${error.message}`,
  };
}

function reasonOf(error: CodedError, code: string, isConnected: boolean, hasHead: boolean): Reason {
  if (LOCAL_CAUSES.has(code)) return 'shed';
  if (!isConnected) return REASON_BY_CODE[code] ?? 'connect_failed';
  if (code.startsWith('HPE_')) return hasHead ? 'upstream_reset' : 'upstream_malformed';
  // undici's word for a 100 that nobody asked for, an upgrade likewise, or bytes on an idle connection.
  if (code === 'UND_ERR_SOCKET' && /^bad (response|upgrade)$/.test(error.message))
    return 'upstream_malformed';
  const known = REASON_BY_CODE[code];
  return known === undefined || known === 'connect_timeout' ? 'upstream_reset' : known;
}
