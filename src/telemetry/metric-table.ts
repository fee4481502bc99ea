// Every metric of Foreshard: name, kind, labels and meaning in one table (contract, "Metrics"; a test
// compares the README with it). Shard ids and key values are never labels.

export interface MetricInfo {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Histograms: upper bounds in the metric's unit, ascending. */
  readonly buckets?: readonly number[];
}

// From a request on loopback to the longest default timeout.
const REQUEST_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;
// What the proxy itself adds is tens of microseconds; a millisecond is already worth a look.
const OVERHEAD_SECONDS = [
  0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25,
] as const;

export const METRICS = {
  foreshard_requests_total: {
    kind: 'counter',
    labels: ['route', 'region', 'code_class', 'priority'],
    help: 'Requests answered, by class of the status sent to the client.',
  },
  foreshard_request_seconds: {
    kind: 'histogram',
    labels: ['route'],
    help: 'From the request head to the end of the answer.',
    buckets: REQUEST_SECONDS,
  },
  foreshard_overhead_seconds: {
    kind: 'histogram',
    labels: [],
    help: 'From the request head to the first attempt, without waiting for the body: what deciding costs.',
    buckets: OVERHEAD_SECONDS,
  },
  foreshard_local_replies_total: {
    kind: 'counter',
    labels: ['reason'],
    help: 'Answers made by the proxy itself.',
  },
  foreshard_attempt_failures_total: {
    kind: 'counter',
    labels: ['region', 'reason'],
    help: 'Attempts that ended without a whole answer.',
  },
  foreshard_retries_total: {
    kind: 'counter',
    labels: ['reason', 'from', 'to'],
    help: 'Attempts after the first, by what failed and between which regions.',
  },
  foreshard_hedges_total: {
    kind: 'counter',
    labels: ['route', 'to', 'result'],
    help: 'Second tries beside the first, by region and whether they had the answer: won or lost.',
  },
  foreshard_retry_budget_spent_total: {
    kind: 'counter',
    labels: ['route', 'region'],
    help: 'Retries not made because the budget was spent.',
  },
  foreshard_retry_budget_remaining: {
    kind: 'gauge',
    labels: ['route', 'region', 'thread'],
    help: 'Retries that a worker could still make now, where it has sent anything.',
  },
  foreshard_shed_total: {
    kind: 'counter',
    labels: ['priority', 'reason'],
    help: 'Requests refused because a limit of this proxy or of all servers was reached.',
  },
  foreshard_key_missing_total: { kind: 'counter', labels: ['route'], help: 'Requests without a shard key.' },
  foreshard_spans_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Spans exported by OTLP: sent, failed.',
  },
  foreshard_region_weight: {
    kind: 'gauge',
    labels: ['region', 'kind'],
    help: 'Weight of a region: base, risk, health, desired, effective.',
  },
  foreshard_region_servers: {
    kind: 'gauge',
    labels: ['region', 'state'],
    help: 'Servers registered and usable.',
  },
  foreshard_plan_generation: { kind: 'gauge', labels: [], help: 'Generation of the plan in force.' },
  foreshard_plan_age_seconds: { kind: 'gauge', labels: [], help: 'Since the plan in force was evaluated.' },
  foreshard_plan_stale: {
    kind: 'gauge',
    labels: [],
    help: '1 = the engine has not been heard of for pae.planTtl; keys go back to base weights.',
  },
  foreshard_plan_pulls_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Pulls of the plan from pae.source: ok, unchanged, failed.',
  },
  foreshard_capacity_demand: {
    kind: 'gauge',
    labels: ['region', 'quantile'],
    help: 'Requests/s that a region will have to carry within the horizon, shifts included.',
  },
  foreshard_recommended_replicas: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Servers that carry that demand (p90) at pae.targetUtilisation.',
  },
  foreshard_capacity_hooks_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Messages to pae.capacityHook: ok, failed, dropped.',
  },
  foreshard_move_notices_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Messages to sharding.notify: ok, failed, dropped.',
  },
  foreshard_shift_progress: {
    kind: 'gauge',
    labels: [],
    help: 'Share of the keys of moving shards that have crossed; 1 while nothing moves.',
  },
  foreshard_plan_rejected_total: {
    kind: 'counter',
    labels: ['reason'],
    help: 'Plans that were refused: invalid, misfit = not for this configuration, on_disk = the kept one.',
  },
  foreshard_config_generation: { kind: 'gauge', labels: [], help: 'Configurations applied by this process.' },
  foreshard_config_rejected_total: { kind: 'counter', labels: [], help: 'Configurations refused at reload.' },
  foreshard_shard_moves_total: {
    kind: 'counter',
    labels: ['reason'],
    help: 'Shards that changed their owner.',
  },
  foreshard_moved_keyspace_ratio: {
    kind: 'gauge',
    labels: [],
    help: 'Share of key space that the last plan moved.',
  },
  foreshard_server_health: {
    kind: 'gauge',
    labels: ['region', 'server'],
    help: '1 = may take requests, 0 = may not.',
  },
  foreshard_ejections_total: {
    kind: 'counter',
    labels: ['region', 'reason'],
    help: 'Servers ejected as outliers.',
  },
  foreshard_lease_expired_total: {
    kind: 'counter',
    labels: ['region'],
    help: 'Leases of registered servers that ended without a renewal.',
  },
  foreshard_registrations_refused_total: {
    kind: 'counter',
    labels: ['region', 'reason'],
    help: 'Registrations and renewals that a manager refused.',
  },
  foreshard_rem_poll_failures_total: {
    kind: 'counter',
    labels: ['region'],
    help: "Polls of a manager's report that failed.",
  },
  foreshard_residency_block_total: {
    kind: 'counter',
    labels: ['stage'],
    help: 'Requests that no region may serve by residency: in the proxy, or again in the manager (rem).',
  },
  foreshard_connections: { kind: 'gauge', labels: [], help: 'Open client connections.' },
  foreshard_requests_in_flight: { kind: 'gauge', labels: [], help: 'Requests under way.' },
  foreshard_worker_restarts_total: {
    kind: 'counter',
    labels: [],
    help: 'Workers that died and were replaced.',
  },
  foreshard_risk: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Risk that a region is lost within the horizon.',
  },
  foreshard_failure_probability: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Probability that a region fails within the horizon.',
  },
  foreshard_overload_probability: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Probability that the load of a region passes its capacity within the horizon.',
  },
  foreshard_anomaly: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Anomaly score of a region and its servers.',
  },
  foreshard_forecast_load: {
    kind: 'gauge',
    labels: ['region', 'quantile'],
    help: 'Highest requests/s forecast for a region within the horizon.',
  },
  foreshard_forecast_error: {
    kind: 'gauge',
    labels: ['region', 'model'],
    help: 'Mean absolute scaled error of load forecasts.',
  },
  foreshard_forecast_coverage: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Share of loads inside the 90 % interval of their forecast.',
  },
  foreshard_brier: { kind: 'gauge', labels: ['region'], help: 'Brier score of failure probabilities.' },
  foreshard_brier_skill: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Brier skill over the base rate; absent before five failures.',
  },
  foreshard_model_skill: {
    kind: 'gauge',
    labels: ['region', 'model'],
    help: 'Brier skill of each failure model, whether or not it speaks; absent before five failures.',
  },
  foreshard_lead_seconds: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Median time from the first alarm to the failure.',
  },
  foreshard_false_alarms_per_day: {
    kind: 'gauge',
    labels: ['region'],
    help: 'Alarms a day that no failure followed.',
  },
  foreshard_telemetry_samples_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Samples taken by the engine, or why they were not.',
  },
  foreshard_telemetry_posts_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Posts of own measurements to pae.source.',
  },
  foreshard_scrapes_total: { kind: 'counter', labels: ['result'], help: 'Scrapes and queries of metrics.' },
  foreshard_feed_problems_total: { kind: 'counter', labels: [], help: 'Event feeds that could not be read.' },
  foreshard_forecasts_replaced_total: {
    kind: 'counter',
    labels: [],
    help: 'Predictions that were not finite and were replaced.',
  },
  foreshard_model_failures_total: {
    kind: 'counter',
    labels: [],
    help: 'Models that threw and began anew.',
  },
  foreshard_model_states_unreadable_total: {
    kind: 'counter',
    labels: [],
    help: 'Kept models that could not be read at a start and were set aside.',
  },
  foreshard_capacity_fits_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Fits of the hours ahead of a slice of demand: fitted, failed, timeout or out_of_memory.',
  },
  foreshard_trainings_total: {
    kind: 'counter',
    labels: ['result'],
    help: 'Retrainings: taken, refused (no better than before), failed, timeout, out_of_memory.',
  },
  foreshard_clock_jumps_total: { kind: 'counter', labels: [], help: 'Jumps of the wall clock.' },
  foreshard_history_lost_total: {
    kind: 'counter',
    labels: [],
    help: 'Values that could not be kept on disk.',
  },
  foreshard_engine_tick_seconds: { kind: 'gauge', labels: [], help: 'Duration of the last evaluation.' },
  foreshard_engine_series: {
    kind: 'gauge',
    labels: ['kind'],
    help: 'Entities and metrics that the engine watches.',
  },
  foreshard_engine_restarts_total: {
    kind: 'counter',
    labels: [],
    help: 'Analytics threads that died and were replaced.',
  },
  foreshard_event_loop_delay_seconds: {
    kind: 'gauge',
    labels: ['thread', 'quantile'],
    help: 'Delay of the event loop over the last interval.',
  },
} as const satisfies Record<string, MetricInfo>;

export type MetricName = keyof typeof METRICS;

/** Buckets of a histogram of the table. */
export function bucketsOf(metric: string): readonly number[] {
  const info: MetricInfo | undefined = METRICS[metric as MetricName];
  return info?.buckets ?? [];
}
