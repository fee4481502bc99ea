// A Grafana dashboard on the metrics of Foreshard, as data: `npm run grafana` writes the JSON that Grafana imports.
// A test holds every expression to the metric table.

import type { MetricName } from '../../telemetry/metric-table.ts';

interface PanelSpec {
  readonly title: string;
  readonly unit: 'reqps' | 's' | 'percentunit' | 'short' | 'ms';
  /** Names that the expressions use: a metric that is renamed breaks the build. */
  readonly metrics: readonly MetricName[];
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
}

const ROWS: readonly { readonly title: string; readonly panels: readonly PanelSpec[] }[] = [
  {
    title: 'Requests',
    panels: [
      {
        title: 'Requests by region',
        unit: 'reqps',
        metrics: ['foreshard_requests_total'],
        queries: [{ expr: 'sum by (region) (rate(foreshard_requests_total[1m]))', legend: '{{region}}' }],
      },
      {
        title: 'Share answered 5xx',
        unit: 'percentunit',
        metrics: ['foreshard_requests_total'],
        queries: [
          {
            expr: 'sum by (region) (rate(foreshard_requests_total{code_class="5xx"}[1m])) / sum by (region) (rate(foreshard_requests_total[1m]))',
            legend: '{{region}}',
          },
        ],
      },
      {
        title: 'Time of a request',
        unit: 's',
        metrics: ['foreshard_request_seconds'],
        queries: ['0.5', '0.99'].map((q) => ({
          expr: `histogram_quantile(${q}, sum by (le) (rate(foreshard_request_seconds_bucket[1m])))`,
          legend: `p${Number(q) * 100}`,
        })),
      },
      {
        title: 'Retries',
        unit: 'reqps',
        metrics: ['foreshard_retries_total'],
        queries: [
          {
            expr: 'sum by (reason, from, to) (rate(foreshard_retries_total[1m]))',
            legend: '{{reason}} {{from}} -> {{to}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Regions',
    panels: [
      {
        title: 'Weight, desired and effective',
        unit: 'short',
        metrics: ['foreshard_region_weight'],
        queries: [
          {
            expr: 'avg by (region, kind) (foreshard_region_weight{kind=~"desired|effective"})',
            legend: '{{region}} {{kind}}',
          },
        ],
      },
      {
        title: 'Risk',
        unit: 'percentunit',
        metrics: ['foreshard_risk'],
        queries: [{ expr: 'max by (region) (foreshard_risk)', legend: '{{region}}' }],
      },
      {
        title: 'Load, forecast',
        unit: 'reqps',
        metrics: ['foreshard_forecast_load'],
        queries: [{ expr: 'foreshard_forecast_load', legend: '{{region}} {{quantile}}' }],
      },
      {
        title: 'Ejections',
        unit: 'short',
        metrics: ['foreshard_ejections_total'],
        queries: [
          { expr: 'sum by (region) (increase(foreshard_ejections_total[5m]))', legend: '{{region}}' },
        ],
      },
    ],
  },
  {
    title: 'Plan',
    panels: [
      {
        title: 'Age of the plan',
        unit: 's',
        metrics: ['foreshard_plan_age_seconds'],
        queries: [{ expr: 'foreshard_plan_age_seconds', legend: '{{instance}}' }],
      },
      {
        title: 'Shards moved',
        unit: 'short',
        metrics: ['foreshard_shard_moves_total'],
        queries: [
          { expr: 'sum by (reason) (increase(foreshard_shard_moves_total[5m]))', legend: '{{reason}}' },
        ],
      },
      {
        title: 'Progress of the shift',
        unit: 'percentunit',
        metrics: ['foreshard_shift_progress'],
        queries: [{ expr: 'foreshard_shift_progress', legend: '{{instance}}' }],
      },
      {
        title: 'Brier score of failure probabilities',
        unit: 'short',
        metrics: ['foreshard_brier'],
        queries: [{ expr: 'avg by (region) (foreshard_brier)', legend: '{{region}}' }],
      },
    ],
  },
  {
    title: 'The proxy itself',
    panels: [
      {
        title: 'What deciding costs',
        unit: 's',
        metrics: ['foreshard_overhead_seconds'],
        queries: [
          {
            expr: 'histogram_quantile(0.99, sum by (le) (rate(foreshard_overhead_seconds_bucket[1m])))',
            legend: 'p99',
          },
        ],
      },
      {
        title: 'In flight, connections',
        unit: 'short',
        metrics: ['foreshard_requests_in_flight', 'foreshard_connections'],
        queries: [
          { expr: 'foreshard_requests_in_flight', legend: 'requests {{instance}}' },
          { expr: 'foreshard_connections', legend: 'connections {{instance}}' },
        ],
      },
      {
        title: 'Shed',
        unit: 'reqps',
        metrics: ['foreshard_shed_total'],
        queries: [
          {
            expr: 'sum by (priority, reason) (rate(foreshard_shed_total[1m]))',
            legend: '{{priority}} {{reason}}',
          },
        ],
      },
      {
        title: 'Event loop delay',
        unit: 's',
        metrics: ['foreshard_event_loop_delay_seconds'],
        queries: [{ expr: 'foreshard_event_loop_delay_seconds', legend: '{{thread}} {{quantile}}' }],
      },
    ],
  },
];

const COLUMNS = 24;
const PANEL_HEIGHT = 8;

/** Grafana's model of a dashboard, schema 39 (Grafana 10 and later); it asks for the data source at import. */
export function grafanaDashboard(): object {
  let id = 0;
  let y = 0;
  const panels: object[] = [];
  for (const row of ROWS) {
    panels.push({
      id: ++id,
      type: 'row',
      title: row.title,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    const w = COLUMNS / row.panels.length;
    for (const [i, panel] of row.panels.entries()) {
      panels.push(timeSeries(++id, panel, { x: i * w, y, w, h: PANEL_HEIGHT }));
    }
    y += PANEL_HEIGHT;
  }
  return {
    title: 'Foreshard',
    uid: 'foreshard',
    schemaVersion: 39,
    version: 1,
    timezone: 'browser',
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    tags: ['foreshard'],
    templating: {
      list: [{ name: 'source', label: 'Prometheus', type: 'datasource', query: 'prometheus' }],
    },
    panels,
  };
}

function timeSeries(id: number, { title, unit, queries }: PanelSpec, gridPos: object): object {
  return {
    id,
    type: 'timeseries',
    title,
    gridPos,
    datasource: { type: 'prometheus', uid: '$source' },
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 8 } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      expr,
      legendFormat: legend,
    })),
  };
}
