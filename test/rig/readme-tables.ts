// The tables of the README, made from what the program itself reads.

import { PROXY_DOCUMENT, REM_DOCUMENT } from '../../src/config/document.ts';
import { referenceTable } from '../../src/config/reference.ts';
import { REASONS } from '../../src/core/reasons.ts';
import { METRICS, type MetricInfo } from '../../src/telemetry/metric-table.ts';

const TABLES: Readonly<Record<string, () => string>> = {
  configuration: () => referenceTable(PROXY_DOCUMENT),
  manager: () => referenceTable(REM_DOCUMENT),
  reasons: () =>
    tableOf(
      ['reason', 'status', 'proxy-status error', 'meaning'],
      Object.entries(REASONS).map(([word, { status, proxyStatus, meaning }]) => [
        `\`${word}\``,
        String(status),
        `\`${proxyStatus}\``,
        meaning,
      ]),
    ),
  metrics: () =>
    tableOf(
      ['metric', 'kind', 'labels', 'meaning'],
      Object.entries<MetricInfo>(METRICS).map(([name, { kind, labels, help }]) => [
        `\`${name}\``,
        kind,
        labels.map((label) => `\`${label}\``).join(', '),
        help,
      ]),
    ),
};

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

/** The README with its tables as they should be. Throws when a place for one is missing. */
export function withTables(readme: string): string {
  let text = readme;
  for (const [name, make] of Object.entries(TABLES)) {
    const begin = `<!-- table: ${name} -->\n`;
    const from = text.indexOf(begin);
    const to = text.indexOf('<!-- end -->', from);
    if (from === -1 || to === -1) throw new Error(`the README has no place for the table of ${name}`);
    text = text.slice(0, from + begin.length) + make() + text.slice(to);
  }
  return text;
}
