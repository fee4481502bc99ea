// Tables, plots and pages of the benches.

import t from 'tap';
import { renderChart } from '../../bench/report/chart.ts';
import { renderPage } from '../../bench/report/page.ts';
import { openProgress } from '../../bench/report/progress.ts';
import { formatFigure, formatMicros, formatTable, median } from '../../bench/report/table.ts';

t.test('a table lines up text to the left and figures to the right', async (t) => {
  const text = formatTable({
    title: 'Title',
    columns: [
      { title: 'proxy', align: 'left' },
      { title: 'us', align: 'right' },
    ],
    rows: [
      ['nginx', '9.1'],
      ['http-proxy-3', '49'],
    ],
    notes: ['note'],
  });
  t.equal(
    text,
    [
      'Title',
      'proxy          us',
      '------------  ---',
      'nginx         9.1',
      'http-proxy-3   49',
      '  note',
      '',
    ].join('\n'),
  );
});

t.test('figures are as long as they need to be', async (t) => {
  t.strictSame([0, 0.123, 12.34, 123.4, 1_234_567.8, Number.NaN].map(formatFigure), [
    '0.0',
    '0.12',
    '12.3',
    '123',
    '1,234,568',
    '-',
  ]);
  t.strictSame([12, 1250, 25_400, 2_100_000].map(formatMicros), ['12us', '1.25ms', '25.4ms', '2.10s']);
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.ok(Number.isNaN(median([])));
});

const HEAD = {
  bench: 'x',
  at: '2026-01-01T00:00:00Z',
  commit: { hash: 'unknown', modified: false },
  machine: { cpu: 'a <b>', cores: 2, memoryBytes: 1, kernel: 'k', node: '26', loadAverage: 0 },
  args: ['--url', 'http://h/?a&b<script>'],
};

t.test('a page holds everything itself, and no markup of others', async (t) => {
  const html = renderPage({
    title: 'T & "U"',
    head: HEAD,
    sections: [
      {
        charts: [
          { kind: 'bars', title: '<i>', unit: 'us', bars: [{ label: '<b>', value: 2, low: 1, high: 3 }] },
          {
            kind: 'lines',
            title: 'l',
            xTitle: 'x',
            yTitle: 'y',
            xScale: 'percentile',
            lines: [
              {
                label: 'a',
                points: [
                  [50, 1],
                  [99.999, 9],
                ],
              },
              { label: 'b', points: [] },
            ],
          },
        ],
      },
    ],
  });
  t.notMatch(html, /<script|<i>|<b>|(?:src|href)=|url\(|@import/);
  t.match(html, /prefers-color-scheme:dark/);
  t.notMatch(html, /NaN|Infinity|undefined/);
});

t.test('bars are as long as their values', async (t) => {
  const svg = renderChart({
    kind: 'bars',
    title: 't',
    unit: 'us',
    bars: [
      { label: 'half', value: 5 },
      { label: 'whole', value: 10, accent: true },
      { label: 'unknown', value: Number.NaN },
    ],
  });
  const widths = [...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map((match) => Number(match[1]));
  t.equal(widths.length, 2, 'what was not measured has no bar');
  t.ok(Math.abs(widths[0]! * 2 - widths[1]!) < 0.2);
});

t.test('a progress line is rewritten on a terminal and a line of its own in a log', async (t) => {
  const written: string[] = [];
  const sink = { write: (text: string) => written.push(text) };
  const terminal = openProgress({ ...sink, isTTY: true, columns: 10 });
  terminal.show('a line too long');
  terminal.clear();
  openProgress(sink).show('plain');
  t.strictSame(written, ['\r\u001b[Ka line...', '\r\u001b[K', 'plain\n']);
});
