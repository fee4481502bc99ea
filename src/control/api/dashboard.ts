// GET /: the dashboard, and the few files that it is made of, read once when the process starts. Modules go to the
// browser as they are written; packages come as npm installed them. The page may load nothing but these files and
// this API: the policy says so to the browser, and the one inline part, the import map, is allowed by its hash.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const FOLDER = join(import.meta.dirname, '..', 'dashboard');

/** Bare name in a page's module -> file of the package. */
const PACKAGES: Readonly<Record<string, readonly [name: string, file: string]>> = {
  preact: ['preact', 'dist/preact.mjs'],
  'preact/hooks': ['preact', 'hooks/dist/hooks.mjs'],
  htm: ['htm', 'dist/htm.module.js'],
  uplot: ['uplot', 'dist/uPlot.esm.js'],
};

/** The page's own files; nothing else of the folder is served. */
const OWN_FILES = [
  'accuracy.js',
  'ask.js',
  'chart-data.js',
  'connection.js',
  'decisions.js',
  'events.js',
  'html.js',
  'icon.svg',
  'live-state.js',
  'load-chart.js',
  'main.js',
  'memo.js',
  'page.css',
  'plans.js',
  'policies.js',
  'regions.js',
  'shard-map.js',
  'shards.js',
  'trace-words.js',
  'words.js',
] as const;

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

interface Asset {
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

/** What needs no token: a page that asks for one cannot have it yet. It knows nothing by itself. */
export const isDashboardPath = (path: string | undefined): boolean =>
  path === '/' || path?.startsWith('/dashboard/') === true;

export function dashboardRoutes(app: FastifyInstance): void {
  const assets = [...OWN_FILES.map(ownAsset), ...Object.keys(PACKAGES).map(packageAsset), uplotStyle()];
  const { body, policy } = page(assets);
  const headers = {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  };
  app.get('/', (_request, reply) =>
    reply
      .headers({ ...headers, 'content-security-policy': policy })
      .type('text/html; charset=utf-8')
      .send(body),
  );
  for (const { path, type, body } of assets) {
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 20)}"`;
    app.get(path, (request, reply) => {
      reply.headers({ ...headers, etag });
      return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.type(type).send(body);
    });
  }
}

function ownAsset(name: string): Asset {
  return asset(`/dashboard/${name}`, join(FOLDER, name));
}

const packagePath = (bare: string): string => `/dashboard/packages/${bare.replace('/', '-')}.js`;

function packageAsset(bare: string): Asset {
  const [name, file] = PACKAGES[bare]!;
  return asset(packagePath(bare), join(folderOf(name), file));
}

function uplotStyle(): Asset {
  return asset('/dashboard/packages/uplot.css', join(folderOf('uplot'), 'dist/uPlot.min.css'));
}

function asset(path: string, file: string): Asset {
  return { path, type: TYPES[path.slice(path.lastIndexOf('.') + 1)]!, body: readFileSync(file) };
}

function folderOf(name: string): string {
  const found = findPackageJSON(name, import.meta.url);
  if (found === undefined)
    throw new Error(`the package ${name}, which the dashboard needs, is not installed`);
  return dirname(found);
}

/** All modules are named in the head, so that the browser fetches them at once and not import by import. */
function page(assets: readonly Asset[]): { body: string; policy: string } {
  const imports = Object.fromEntries(Object.keys(PACKAGES).map((bare) => [bare, packagePath(bare)]));
  const importMap = JSON.stringify({ imports });
  const preloads = assets
    .filter(({ path }) => path.endsWith('.js'))
    .map(({ path }) => `<link rel="modulepreload" href="${path}">`);
  const head = [`<script type="importmap">${importMap}</script>`, ...preloads].join('\n    ');
  const hash = createHash('sha256').update(importMap).digest('base64');
  const policy = [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { body: readFileSync(join(FOLDER, 'index.html'), 'utf8').replace('<!-- modules -->', head), policy };
}
