// Makes a result page of its parts: one HTML file, no script, no request to anywhere, light and dark by
// the reader's own setting. Pure.

import { type Chart, escapeText, renderChart } from './chart.ts';
import { formatOrigin } from './machine.ts';
import type { ResultHead } from './result-file.ts';
import type { Table } from './table.ts';

/** A part of the page: plots above the table that they were drawn from. */
export interface PageSection {
  readonly table?: Table;
  readonly charts?: readonly Chart[];
  /** Sentences, one paragraph each. */
  readonly text?: readonly string[];
}

export interface PageInput {
  readonly title: string;
  readonly head: ResultHead;
  readonly sections: readonly PageSection[];
}

const STYLE = `
:root{color-scheme:light dark;--paper:#fbfbfa;--ink:#1b1f24;--soft:#5b6470;--rule:#dfe2e6;--bar:#9fb3c8;--accent:#c2410c;
--c0:#1f6feb;--c1:#c2410c;--c2:#14804a;--c3:#8250df;--c4:#b08800;--c5:#0e7490;--c6:#be185d;--c7:#57606a}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e8eb;--soft:#9aa4af;--rule:#30363d;--bar:#4d6378;--accent:#f08a4b;
--c0:#6ea8fe;--c1:#f08a4b;--c2:#56d391;--c3:#b794f6;--c4:#e3b341;--c5:#4fc3d7;--c6:#f47fb1;--c7:#a0a8b2}}
body{margin:2rem auto;padding:0 1rem;max-width:60rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.5rem 0 .5rem}.origin,.note{color:var(--soft);font-size:.87rem}.note{margin:.2rem 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}th{color:var(--soft);font-weight:600}
.left{text-align:left}figure{margin:1rem 0}figcaption{color:var(--soft);font-size:.87rem;margin-bottom:.3rem}svg{width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .tick{fill:var(--soft);font-size:11px}.bar{fill:var(--bar)}.bar.accent{fill:var(--accent)}
.whisker{stroke:var(--ink);stroke-width:1.2;fill:none;opacity:.65}.grid{stroke:var(--rule);fill:none}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.legend{font-size:.87rem}.legend span{margin-right:1rem;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em;border-radius:2px}
code{font-size:.87rem}`;

export function renderPage(input: PageInput): string {
  const { head } = input;
  const title = escapeText(input.title);
  const command = head.args.length === 0 ? '(none)' : head.args.join(' ');
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    `<meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title>`,
    `<style>${STYLE}</style></head><body>`,
    `<h1>${title}</h1><p class="origin">${escapeText(head.at)}<br>${escapeText(formatOrigin(head.machine, head.commit))}`,
    `<br>load average ${head.machine.loadAverage.toFixed(2)}; arguments: <code>${escapeText(command)}</code></p>`,
    ...input.sections.map(renderSection),
    '</body></html>\n',
  ].join('\n');
}

function renderSection(section: PageSection): string {
  const heading = section.table === undefined ? '' : `<h2>${escapeText(section.table.title)}</h2>`;
  const text = (section.text ?? []).map((line) => `<p>${escapeText(line)}</p>`);
  const charts = (section.charts ?? []).map(renderChart);
  return [heading, ...text, ...charts, section.table === undefined ? '' : renderTable(section.table)].join(
    '\n',
  );
}

function renderTable(table: Table): string {
  const attribute = (i: number): string => (table.columns[i]?.align === 'left' ? ' class="left"' : '');
  const cells = (row: readonly string[], tag: string): string =>
    row.map((cell, i) => `<${tag}${attribute(i)}>${escapeText(cell)}</${tag}>`).join('');
  const head = cells(
    table.columns.map((column) => column.title),
    'th',
  );
  const rows = table.rows.map((row) => `<tr>${cells(row, 'td')}</tr>`);
  const notes = table.notes.map((note) => `<p class="note">${escapeText(note)}</p>`);
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>${notes.join('')}`;
}
