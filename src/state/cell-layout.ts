// Where the counters lie in the shared buffer of live-cells.ts: what the main thread and the workers must agree on.

export const MAX_REGIONS = 512;

// Fields of a server in a worker's column. Sixteen 32-bit cells are one cache line: two servers never
// share one, nor do two workers.
export const SERVER_STRIDE = 16;
export const IN_FLIGHT = 0;
export const ATTEMPTS = 1;
export const SUCCESSES = 2;
export const ERRORS_5XX = 3;
export const CONNECT_FAILURES = 4;
export const OTHER_FAILURES = 5;
export const RUN_5XX = 6;
export const RUN_CONNECT = 7;
export const LATENCY_US = 8;
export const ATTEMPTS_BEFORE = 9;
/** Thousandths of a request: what was usually in flight already when another one came. */
export const CROWD_MILLI = 10;

// Fields of a region in a worker's column.
export const REGION_STRIDE = 2;
export const REGION_IN_FLIGHT = 0;
/** Of those in flight, the ones whose response head has not come. */
export const REGION_WAITING = 1;

// Fields of a server that the main thread writes.
export const MAIN_STRIDE = 4;
export const HEALTH = 0;
export const EJECTED = 1;
export const RAMP_PERMILLE = 2;
export const INCARNATION = 3;

// Fields of a worker as a whole.
export const WORKER_STRIDE = 16;
export const CONNECTIONS = 0;
export const REQUESTS_IN_FLIGHT = 1;

// Requests and errors of a shard group (the top six bits of the shard) in a worker's column.
export const SHARD_GROUPS = 64;
export const GROUP_STRIDE = 2;

export const VERSION = 0;

// Fields of a region that a manager reports on; the main thread writes them. 0 registered = no report.
export const REPORT_STRIDE = 2;
export const REPORTED_REGISTERED = 0;
export const REPORTED_HEALTHY = 1;
