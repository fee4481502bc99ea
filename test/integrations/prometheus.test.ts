// The dashboard and the alert rules use metrics and labels that there are, and Prometheus can read them.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { grafanaDashboard } from '../../src/integrations/prometheus/grafana-dashboard.ts';
import { METRICS, type MetricInfo } from '../../src/telemetry/metric-table.ts';

const FOLDER = join(import.meta.dirname, '../../src/integrations/prometheus');
const RULES = join(FOLDER, 'alerts.yaml');
const metrics: Readonly<Record<string, MetricInfo>> = METRICS;

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}
interface Panel {
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const panels = (grafanaDashboard() as { panels: Panel[] }).panels;
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
// Set by Prometheus itself.
const OUTER_LABELS = ['instance', 'job', 'le'];

/** What is wrong with the names that an expression uses. */
function wrongNames(expr: string, labelsOutside: readonly string[]): string[] {
  const used = [...new Set([...expr.matchAll(/foreshard_\w+/g)].map(([name]) => name))];
  const known = used.map((name) => metrics[name] ?? metrics[name.replace(/_(bucket|sum|count)$/, '')]);
  const unknown = used.filter((_, i) => known[i] === undefined);
  const labels = new Set([...OUTER_LABELS, ...known.flatMap((info) => info?.labels ?? [])]);
  const named = [
    ...labelsOutside,
    ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', ')),
    ...[...expr.matchAll(/[{,] ?(\w+)[=!]~?"/g)].map(([, label]) => label!),
  ];
  return [...unknown, ...named.filter((label) => !labels.has(label))];
}

t.test('every panel and every rule uses metrics and labels of the table', async (t) => {
  const shown = panels.filter(({ type }) => type === 'timeseries');
  t.ok(shown.length >= 12);
  for (const { title, targets, gridPos } of shown) {
    t.ok(gridPos.x + gridPos.w <= 24, title);
    for (const { expr, legendFormat } of targets!) {
      const labels = [...legendFormat.matchAll(/{{(\w+)}}/g)].map(([, label]) => label!);
      t.strictSame(wrongNames(expr, labels), [], `${title}: ${expr}`);
    }
  }
  t.ok(rules.length >= 8);
  for (const { alert, expr, annotations } of rules) {
    const labels = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!);
    t.strictSame(wrongNames(expr, labels), [], `${alert}: ${expr}`);
    t.ok(annotations.summary && annotations.action, `${alert} says what is wrong and what to do`);
  }
  t.strictSame(wrongNames('sum by (colour) (foreshard_nothing)', []), ['foreshard_nothing', 'colour']);
});

t.test('the JSON that Grafana imports is the one of the code (npm run grafana writes it)', async (t) => {
  const written = JSON.parse(readFileSync(join(FOLDER, 'grafana-dashboard.json'), 'utf8')) as object;
  t.strictSame(written, JSON.parse(JSON.stringify(grafanaDashboard())));
});

t.test(
  'promtool takes the rules and the expressions of the dashboard',
  {
    skip: hasPromtool ? false : 'promtool is not installed',
  },
  async (t) => {
    t.match(
      execFileSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' }),
      /SUCCESS: \d+ rules found/,
    );
    const file = join(t.testdir({}), 'panels.json');
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    // JSON is YAML.
    const recorded = queries.map((expr, i) => ({ record: `panel:${i}`, expr }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: recorded }] }));
    const checked = execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
    t.match(checked, `${queries.length} rules found`);
  },
);
