// The shard map: a cell a shard, coloured by its owner; a shard on the move shows its owner before in one corner.
// Drawn on a canvas once a plan; the pointer and the arrow keys tell what a cell is.

import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from './html.js';
import { colourOf, columnsOf, movingOf, progressAt, shardWords, stepTo } from './shards.js';
import { counted, percent } from './words.js';

const CELL = 8;

export function ShardMap({ shards, now }) {
  const [at, setAt] = useState(0);
  if (shards === undefined) return html`<p class="empty">The shard table has not been read yet.</p>`;
  const table = shards.tables[at] ?? shards.tables[0];
  if (table === undefined) return html`<p class="empty">The plan has no shard table.</p>`;
  return html`${
    shards.tables.length > 1 &&
    html`<label class="inline">Table <select value=${at} onChange=${(event) => setAt(Number(event.currentTarget.value))}>
      ${shards.tables.map(({ id, critical, shift }, i) => html`<option value=${i}>${tableWords(id, critical, shift)}</option>`)}
    </select></label>`
  }
    <${Shift} table=${table} now=${now} />
    <${Cells} table=${table} regions=${shards.regions} />
    <${Legend} table=${table} regions=${shards.regions} />`;
}

/** `all@0.1/0.3/0.5/0.3!critical`: the set of regions, thresholds of their own, whose requests. */
function tableWords(id, critical, shift) {
  const [set, own] = id.replace('!critical', '').split('@');
  const words = [set, own && `thresholds ${own}`, critical && 'critical requests', shift && 'on the move'];
  return words.filter(Boolean).join(', ');
}

function Shift({ table, now }) {
  const moving = table.shift?.moving.length ?? 0;
  if (moving === 0) return html`<p class="shift" aria-live="polite">No shard is on the move.</p>`;
  const done = progressAt(table.shift.progress, now);
  return html`<div class="shift" aria-live="polite"><span>${counted(moving, 'shard')} of ${table.owners.length.toLocaleString('en')} on the move: ${percent(done)} of their keys have a new owner</span>
    <progress max="1" value=${done} aria-label="Progress of the shift"></progress></div>`;
}

function Cells({ table, regions }) {
  const canvas = useRef(null);
  const [shard, setShard] = useState(-1);
  const count = table.owners.length;
  const columns = columnsOf(count);
  const rows = Math.ceil(count / columns);
  useEffect(() => draw(canvas.current, table), [table]);
  const cellAt = (event) => {
    const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
    const x = Math.floor(((event.clientX - left) / width) * columns);
    const y = Math.floor(((event.clientY - top) / height) * rows);
    return y * columns + x < count ? y * columns + x : -1;
  };
  const onKey = (event) => {
    const next = stepTo(event.key, Math.max(0, shard), count);
    if (next === undefined) return;
    event.preventDefault();
    setShard(next);
  };
  const x = (shard % columns) / columns;
  const y = Math.floor(shard / columns) / rows;
  return html`<div class="map">
      <canvas ref=${canvas} width=${columns * CELL} height=${rows * CELL} tabindex="0" role="application"
        aria-label="Shard map, ${count} cells; arrow keys go from shard to shard" aria-describedby="shard-said"
        onPointerMove=${(event) => setShard(cellAt(event))} onKeyDown=${onKey} onFocus=${() => shard < 0 && setShard(0)}></canvas>
      ${shard >= 0 && html`<i class="cursor" style=${{ left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 / columns}%`, height: `${100 / rows}%` }}></i>`}
    </div>
    <p class="said" id="shard-said" aria-live="polite">${shard >= 0 ? shardWords(table, regions, shard) : 'Point at a cell, or use the arrow keys, to see its owner.'}</p>`;
}

function draw(canvas, table) {
  const context = canvas.getContext('2d');
  const columns = columnsOf(table.owners.length);
  const moving = movingOf(table);
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const [shard, owner] of table.owners.entries()) {
    const x = (shard % columns) * CELL;
    const y = Math.floor(shard / columns) * CELL;
    context.fillStyle = owner === 65_535 ? '#8888' : colourOf(owner);
    context.fillRect(x, y, CELL - 1, CELL - 1);
    const before = moving.get(shard);
    if (before === undefined) continue;
    context.fillStyle = '#fff';
    context.fillRect(x + 1, y + 1, CELL - 3, CELL - 3);
    context.fillStyle = colourOf(before);
    context.fillRect(x + 2, y + 2, CELL - 5, CELL - 5);
  }
}

function Legend({ table, regions }) {
  const moving = table.shift?.moving.length ?? 0;
  return html`<ul class="legend">
    ${regions.map((id, index) =>
      table.owned[id] === 0 && !(table.regions ?? regions).includes(id)
        ? null
        : html`<li key=${id}><i class="swatch" style=${{ background: colourOf(index) }}></i>${id} <small>${percent(table.owned[id] / table.owners.length, 1)}</small></li>`,
    )}
    ${moving > 0 && html`<li><i class="swatch moving"></i>on the move: rim = new owner, centre = owner before</li>`}
  </ul>`;
}
