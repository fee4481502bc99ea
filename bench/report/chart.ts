// Draws plots as SVG text, without a library and without a script in the page: a result page must open
// from disk years later, offline. Colours are CSS variables that the page defines for light and dark.
// Pure.

import { formatFigure } from './table.ts';

interface Bar {
  readonly label: string;
  readonly value: number;
  /** Smallest and largest of the rounds; drawn as a whisker. */
  readonly low?: number;
  readonly high?: number;
  /** Drawn in the accent colour. */
  readonly accent?: boolean;
}

export interface BarChart {
  readonly kind: 'bars';
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
}

interface Line {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly kind: 'lines';
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  /** `percentile`: x is a percentile below 100, laid out by the nines, as in HdrHistogram's plots. */
  readonly xScale: 'linear' | 'percentile';
  readonly lines: readonly Line[];
}

export type Chart = BarChart | LineChart;

const WIDTH = 760;
const BAR_HEIGHT = 22;
const BAR_GAP = 8;
const LABEL_WIDTH = 210;
const VALUE_WIDTH = 130;
const PLOT_HEIGHT = 260;
const MARGIN = { left: 64, right: 16, top: 12, bottom: 44 } as const;
/** Colours the page defines as --c0 .. --c7; a ninth line would look like the first. */
const LINE_COLOURS = 8;

export function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

export function renderChart(chart: Chart): string {
  return chart.kind === 'bars' ? renderBars(chart) : renderLines(chart);
}

function renderBars(chart: BarChart): string {
  const bars = chart.bars.filter((bar) => Number.isFinite(bar.value));
  const top = Math.max(...bars.map((bar) => Math.max(bar.value, bar.high ?? 0)), Number.MIN_VALUE);
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const height = bars.length * (BAR_HEIGHT + BAR_GAP);
  const x = (value: number): number => LABEL_WIDTH + (Math.max(0, value) / top) * room;
  const rows = bars.map((bar, i) => {
    const y = i * (BAR_HEIGHT + BAR_GAP) + BAR_GAP / 2;
    const middle = y + BAR_HEIGHT / 2;
    const text = `${bar.label}: ${formatFigure(bar.value)} ${chart.unit}`;
    const whisker =
      bar.low === undefined || bar.high === undefined
        ? ''
        : `<path class="whisker" d="M${at(x(bar.low))} ${middle}H${at(x(bar.high))}M${at(x(bar.low))} ${middle - 4}v8M${at(x(bar.high))} ${middle - 4}v8"/>`;
    return (
      `<g><title>${escapeText(text)}</title>` +
      `<text class="label" x="${LABEL_WIDTH - 10}" y="${middle}" dy=".35em" text-anchor="end">${escapeText(bar.label)}</text>` +
      `<rect class="${bar.accent === true ? 'bar accent' : 'bar'}" x="${LABEL_WIDTH}" y="${y}" width="${at(x(bar.value) - LABEL_WIDTH)}" height="${BAR_HEIGHT}" rx="2"/>` +
      whisker +
      `<text class="value" x="${at(x(Math.max(bar.value, bar.high ?? 0)) + 8)}" y="${middle}" dy=".35em">${formatFigure(bar.value)}</text></g>`
    );
  });
  return figure(chart.title, chart.unit, height, rows.join(''));
}

function renderLines(chart: LineChart): string {
  const lines = chart.lines.slice(0, LINE_COLOURS);
  const xs = lines.flatMap((line) => line.points.map(([px]) => scaleX(chart, px)));
  const ys = lines.flatMap((line) => line.points.map(([, py]) => py)).filter(Number.isFinite);
  const bounds = {
    left: Math.min(...xs, 0),
    right: chart.xScale === 'linear' ? niceCeiling(Math.max(...xs)) : Math.max(...xs, Number.MIN_VALUE),
    top: niceCeiling(Math.max(...ys, 0)),
  };
  const plotWidth = WIDTH - MARGIN.left - MARGIN.right;
  const x = (value: number): number =>
    MARGIN.left + ((scaleX(chart, value) - bounds.left) / (bounds.right - bounds.left)) * plotWidth;
  const y = (value: number): number => MARGIN.top + PLOT_HEIGHT * (1 - value / bounds.top);
  const paths = lines.map((line, i) => {
    const points = line.points.filter(([, py]) => Number.isFinite(py));
    const d = points.map(([px, py], n) => `${n === 0 ? 'M' : 'L'}${at(x(px))} ${at(y(py))}`).join('');
    return `<path class="line" style="stroke:var(--c${i})" d="${d}"><title>${escapeText(line.label)}</title></path>`;
  });
  const axes = renderAxes(chart, bounds, x, y);
  const svg = figure(
    chart.title,
    chart.yTitle,
    MARGIN.top + PLOT_HEIGHT + MARGIN.bottom,
    axes + paths.join(''),
  );
  return lines.length < 2 ? svg : `${svg}<p class="legend">${renderLegend(lines)}</p>`;
}

function renderLegend(lines: readonly Line[]): string {
  return lines
    .map((line, i) => `<span><i style="background:var(--c${i})"></i>${escapeText(line.label)}</span>`)
    .join(' ');
}

type Scale = (value: number) => number;
interface Bounds {
  readonly left: number;
  readonly right: number;
  readonly top: number;
}

function renderAxes(chart: LineChart, bounds: Bounds, x: Scale, y: Scale): string {
  const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => share * bounds.top);
  const rows = steps.map(
    (value) =>
      `<path class="grid" d="M${MARGIN.left} ${at(y(value))}H${WIDTH - MARGIN.right}"/>` +
      `<text class="tick" x="${MARGIN.left - 8}" y="${at(y(value))}" dy=".35em" text-anchor="end">${formatFigure(value)}</text>`,
  );
  const foot = MARGIN.top + PLOT_HEIGHT + 18;
  const ticks = xTicks(chart, bounds).map(
    ([value, text]) =>
      `<text class="tick" x="${at(x(value))}" y="${foot}" text-anchor="middle">${text}</text>`,
  );
  const title = `<text class="tick" x="${(WIDTH + MARGIN.left) / 2}" y="${foot + 20}" text-anchor="middle">${escapeText(chart.xTitle)}</text>`;
  return rows.join('') + ticks.join('') + title;
}

function xTicks(chart: LineChart, bounds: Bounds): [number, string][] {
  if (chart.xScale === 'percentile') {
    const marks = [0, 50, 90, 99, 99.9, 99.99, 99.999];
    return marks.filter((mark) => scaleX(chart, mark) <= bounds.right).map((mark) => [mark, `${mark}%`]);
  }
  return [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const value = bounds.left + share * (bounds.right - bounds.left);
    return [value, formatFigure(value)];
  });
}

/** Percentile p lies at log10(1 / (1 - p/100)): 90, 99 and 99.9 are equally far apart. */
function scaleX(chart: LineChart, value: number): number {
  return chart.xScale === 'percentile' ? -Math.log10(1 - Math.min(value, 99.9999) / 100) : value;
}

/** The next of 1, 2, 2.5, 5 x 10^n, so that axis marks are numbers that people read at a glance. */
function niceCeiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

function at(value: number): string {
  return value.toFixed(1);
}

function figure(title: string, unit: string, height: number, inner: string): string {
  const name = escapeText(unit === '' ? title : `${title}, ${unit}`);
  return (
    `<figure><figcaption>${name}</figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${name}">${inner}</svg></figure>`
  );
}
