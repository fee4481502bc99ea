// One word per reason. Whatever the proxy answers by itself, refuses or gives up on carries one of
// these words, the same in log, metric, trace, `proxy-status`, problem document and README (a test
// compares the README's table with this one).

/** RFC 9209, section 2.3: the `error` parameter of `proxy-status`. */
type ProxyStatusError =
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'http_protocol_error'
  | 'http_request_denied'
  | 'http_request_error'
  | 'http_response_header_section_size'
  | 'http_response_incomplete'
  | 'http_response_timeout'
  | 'http_upgrade_failed'
  | 'proxy_internal_error'
  | 'proxy_internal_response'
  | 'proxy_loop_detected';

interface ReasonInfo {
  /** Status of the proxy's own answer. */
  readonly status: number;
  readonly proxyStatus: ProxyStatusError;
  /** One sentence for people: problem document `title`, README. */
  readonly meaning: string;
}

export const REASONS = {
  no_route: { status: 404, proxyStatus: 'destination_not_found', meaning: 'No route matches the request.' },
  no_shard_key: {
    status: 400,
    proxyStatus: 'http_request_error',
    meaning: 'The route needs a shard key and the request has none.',
  },
  bad_request: {
    status: 400,
    proxyStatus: 'http_request_error',
    meaning: 'The request breaks a rule of HTTP/1.1.',
  },
  header_too_large: {
    status: 431,
    proxyStatus: 'http_request_error',
    meaning: 'The header block or its number of fields is over the limit.',
  },
  target_too_long: {
    status: 414,
    proxyStatus: 'http_request_error',
    meaning: 'The request target is too long.',
  },
  body_too_large: {
    status: 413,
    proxyStatus: 'http_request_error',
    meaning: 'The request body is over the limit of the route or region.',
  },
  method_not_supported: {
    status: 501,
    proxyStatus: 'http_request_denied',
    meaning: 'CONNECT and TRACE are not forwarded.',
  },
  expectation_failed: {
    status: 417,
    proxyStatus: 'http_request_error',
    meaning: 'The request expects something else than 100-continue.',
  },
  residency: {
    status: 421,
    proxyStatus: 'http_request_denied',
    meaning: 'The data may not be served by this region.',
  },
  region_policy: {
    status: 403,
    proxyStatus: 'http_request_denied',
    meaning: 'The policy of the region refuses the method, path or a missing header.',
  },
  no_eligible_region: {
    status: 503,
    proxyStatus: 'destination_unavailable',
    meaning: 'No region may take this request now.',
  },
  no_healthy_server: {
    status: 503,
    proxyStatus: 'destination_unavailable',
    meaning: 'No server of the eligible regions can take requests.',
  },
  shed: {
    status: 503,
    proxyStatus: 'destination_unavailable',
    meaning: 'A limit of this proxy is reached: requests in flight, connections or files.',
  },
  rate_limited: { status: 429, proxyStatus: 'http_request_denied', meaning: 'Too many requests.' },
  queue_full: {
    status: 507,
    proxyStatus: 'proxy_internal_response',
    meaning: 'The queue for later delivery is full.',
  },
  connect_failed: {
    status: 502,
    proxyStatus: 'connection_refused',
    meaning: 'The server refused the connection or its name did not resolve.',
  },
  upstream_reset: {
    status: 502,
    proxyStatus: 'connection_terminated',
    meaning: 'The server closed the connection before its answer was complete.',
  },
  upstream_malformed: {
    status: 502,
    proxyStatus: 'http_protocol_error',
    meaning: "The server's answer breaks a rule of HTTP/1.1.",
  },
  upstream_too_large: {
    status: 502,
    proxyStatus: 'http_response_header_section_size',
    meaning: "The server's header block is over the limit.",
  },
  upgrade_failed: {
    status: 502,
    proxyStatus: 'http_upgrade_failed',
    meaning: 'The server answered the upgrade with something else than a matching 101.',
  },
  connect_timeout: {
    status: 504,
    proxyStatus: 'connection_timeout',
    meaning: 'The server did not accept the connection in time.',
  },
  response_timeout: {
    status: 504,
    proxyStatus: 'http_response_timeout',
    meaning: 'The server sent no response header in time.',
  },
  idle_timeout: {
    status: 504,
    proxyStatus: 'http_response_incomplete',
    meaning: 'A body stood still for longer than the idle limit.',
  },
  deadline_exceeded: {
    status: 504,
    proxyStatus: 'http_response_timeout',
    meaning: 'The total time of the request is used up.',
  },
  header_timeout: {
    status: 408,
    proxyStatus: 'http_request_error',
    meaning: 'The client did not finish its header block in time.',
  },
  body_timeout: {
    status: 408,
    proxyStatus: 'http_request_error',
    meaning: 'The client did not go on with its body in time.',
  },
  retry_budget_spent: {
    status: 503,
    proxyStatus: 'destination_unavailable',
    meaning: 'The attempt failed and the retry budget is spent.',
  },
  client_closed: {
    status: 499,
    proxyStatus: 'http_request_error',
    meaning: 'The client went away before the answer; never sent, only counted.',
  },
  draining: { status: 503, proxyStatus: 'proxy_internal_response', meaning: 'The proxy is shutting down.' },
  loop_detected: {
    status: 508,
    proxyStatus: 'proxy_loop_detected',
    meaning: "The request has passed this proxy's own instance before.",
  },
  internal: {
    status: 500,
    proxyStatus: 'proxy_internal_error',
    meaning: 'The proxy failed; the log has the request id.',
  },
} as const satisfies Record<string, ReasonInfo>;

export type Reason = keyof typeof REASONS;

/**
 * Why an attempt at one server failed. `sent` decides whether a request that is not idempotent may be
 * tried elsewhere: `nothing` only when no byte of it can have reached the server.
 */
export interface AttemptFailure {
  readonly kind: 'failed';
  readonly reason: Reason;
  readonly sent: 'nothing' | 'maybe';
  /** False when the cause lies here (no file descriptors): it says nothing about the server. */
  readonly blamesServer: boolean;
  /** For the log; never for the client. */
  readonly cause: string;
}
