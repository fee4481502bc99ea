// Load of one region: what came, what was forecast, the forecast up to its horizon with its interval, the capacity,
// and external events on the same axis.

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { chartColumns, eventsOf } from './chart-data.js';
import { html } from './html.js';
import { clock, figure, rate } from './words.js';

const HOUR_S = 3600;
// A few points alone would be stretched over the whole width.
const LEAST_S = 600;
const HEIGHT = 260;

export function LoadChart({ row, points, events, horizonMs, now, theme }) {
  const box = useRef(null);
  const chart = useRef(null);
  // What the chart draws besides its columns; it reads this whenever it draws.
  const around = useRef({});
  const shown = eventsOf(events, row?.id);
  const columns = chartColumns(points, row?.score?.forecast, { now, horizonMs });
  around.current = { capacity: row?.capacity, events: shown, now, horizonMs, from: columns[0][0] };
  useEffect(() => {
    const made = new uPlot(optionsOf(box.current, around), columns, box.current);
    chart.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: box.current.clientWidth, height: HEIGHT }));
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [row?.id, theme]);
  useEffect(
    () => chart.current?.setData(columns),
    [points, Math.floor(now / 1000), row?.capacity, shown.length],
  );
  const isEmpty = points.every(({ actual, forecast }) => actual === undefined && forecast === undefined);
  return html`<div class="chart" ref=${box} role="img" aria-label=${summary(row)}></div>
    ${isEmpty && html`<p class="empty">No load has been measured here yet; the engine evaluates every few seconds.</p>`}
    <ul class="legend"><li><i class="line actual"></i>came</li><li><i class="line forecast"></i>forecast</li>
      <li><i class="swatch band"></i>interval of the forecast</li><li><i class="line capacity"></i>capacity${row?.capacity ? ` ${rate(row.capacity)}` : ' not known'}</li>
      <li><i class="swatch event"></i>external event</li></ul>`;
}

function summary(row) {
  if (row === undefined) return 'Load: no region is chosen';
  const { forecast } = row.score ?? {};
  const ahead =
    forecast === undefined
      ? 'no forecast yet'
      : `forecast ${rate(forecast.p50)}, 90 % below ${rate(forecast.p90)}`;
  return `Load of ${row.id}: ${rate(row.requestsPerSecond)} now, ${ahead}, capacity ${rate(row.capacity)}`;
}

function optionsOf(box, around) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  };
  const figures = (_chart, values) => values.map((value) => (value === null ? '' : figure(value)));
  return {
    width: Math.max(200, box.clientWidth),
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false },
    scales: {
      x: { range: () => xRange(around.current) },
      y: { range: (_chart, _low, high) => [0, 1.1 * Math.max(high ?? 0, around.current.capacity ?? 0, 1)] },
    },
    axes: [
      { ...axis, values: (_chart, times) => times.map((at) => clock(at * 1000).slice(0, 5)) },
      { ...axis, size: 56, values: figures },
    ],
    series: [
      {},
      { stroke: colour('--actual'), width: 2, points: { show: false } },
      { stroke: colour('--forecast'), width: 2, dash: [6, 4], points: { show: false }, spanGaps: true },
      { points: { show: false } },
      { points: { show: false } },
    ],
    bands: [{ series: [4, 3], fill: colour('--band') }],
    hooks: {
      drawClear: [(chart) => drawEvents(chart, around.current, colour('--event'))],
      draw: [
        (chart) =>
          drawLines(chart, around.current, { capacity: colour('--capacity'), now: colour('--quiet') }),
      ],
    },
  };
}

/** The hour before now, or less where less is known. */
function xRange({ now, horizonMs, from = 0 }) {
  const seconds = now / 1000;
  const start = Math.max(seconds - HOUR_S, Math.min(from, seconds - LEAST_S));
  return [start, seconds + Math.max(horizonMs / 1000, (seconds - start) / 6)];
}

function drawEvents({ ctx, bbox, valToPos }, { events }, fill) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const [i, { start, end, title, kind }] of events.entries()) {
    const left = valToPos(Date.parse(start) / 1000, 'x', true);
    const right = valToPos(Date.parse(end) / 1000, 'x', true);
    ctx.fillStyle = fill;
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.globalAlpha = 1;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--text');
    ctx.fillText(title || kind, Math.max(left, bbox.left) + 6, bbox.top + 14 * (i + 1) * devicePixelRatio);
  }
  ctx.restore();
}

function drawLines({ ctx, bbox, valToPos }, { capacity, now }, colours) {
  const line = (x1, y1, x2, y2, colour, dash) => {
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio * 1.5;
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(x1, y1);
    ctx.lineTo(x2, y2);
    ctx.stroke();
    ctx.restore();
  };
  if (capacity !== undefined) {
    const y = valToPos(capacity, 'y', true);
    line(bbox.left, y, bbox.left + bbox.width, y, colours.capacity, [2, 3]);
  }
  const x = valToPos(now / 1000, 'x', true);
  line(x, bbox.top, x, bbox.top + bbox.height, colours.now, [1, 4]);
}
