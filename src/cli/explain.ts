// `foreshard explain`: where a request would go and why. From a configuration alone it assumes that every
// server is healthy; with --control it asks a running proxy, which knows.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { explainFromConfig } from '../compose/explain-config.ts';
import { loadConfigFile } from '../config/config-file.ts';
import { PROXY_DOCUMENT } from '../config/document.ts';
import { formatProblem } from '../config/problem.ts';
import type { ExplainRequest, Explanation } from '../routing/explain.ts';
import { askControl } from './ask-control.ts';
import type { CommandIo } from './command-io.ts';

const HELP = `usage: foreshard explain METHOD URL [-H 'name: value']... [-d BODY] [--config FILE | --control URL]

  -H, --header 'NAME: VALUE'  a header of the request; may be repeated
  -d, --data BODY             its body
  --config FILE               decide by this configuration, all servers healthy (proxy.yaml)
  --control URL               ask the control port of a running proxy
  --token TOKEN               for a control port that wants one (or FORESHARD_TOKEN)
  --json                      the whole answer as JSON
`;

interface Options {
  readonly request: ExplainRequest;
  readonly config: string;
  readonly control: string | undefined;
  readonly token: string | undefined;
  readonly json: boolean;
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const options = parseOptions(args, io);
  if (typeof options === 'number') return options;
  const result =
    options.control === undefined
      ? await fromConfig(options, io)
      : await fromControl(options, options.control);
  if (typeof result === 'string') {
    io.err(`${result}\n`);
    return 1;
  }
  io.out(options.json ? `${JSON.stringify(result, null, 2)}\n` : describe(result));
  return 0;
}

function parseOptions(args: readonly string[], io: CommandIo): Options | number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        data: { type: 'string', short: 'd' },
        config: { type: 'string', default: 'proxy.yaml' },
        control: { type: 'string' },
        token: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      io.out(HELP);
      return 0;
    }
    const [method, url, ...rest] = positionals;
    if (method === undefined || url === undefined || rest.length > 0) throw new Error('needs METHOD and URL');
    const headers = values.header.map(splitHeader);
    return {
      request: { method: method.toUpperCase(), url, headers, body: values.data, clientAddress: '127.0.0.1' },
      config: values.config,
      control: values.control,
      token: values.token ?? io.env.FORESHARD_TOKEN,
      json: values.json,
    };
  } catch (error) {
    io.err(`foreshard explain: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
}

function splitHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new Error(`a header must be 'name: value', given '${text}'`);
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
}

async function fromConfig(options: Options, io: CommandIo): Promise<Explanation | string> {
  const loaded = await loadConfigFile(
    { path: resolve(io.cwd, options.config), name: options.config, env: io.env },
    PROXY_DOCUMENT,
  );
  if (!loaded.ok) return loaded.problems.map(formatProblem).join('\n');
  return explainFromConfig(loaded.config, options.request);
}

async function fromControl({ request, token }: Options, control: string): Promise<Explanation | string> {
  const answer = await askControl({ control, path: '/explain', token, body: request });
  return answer.ok ? (answer.document as Explanation) : `cannot explain: ${answer.problem}`;
}

function describe(result: Explanation): string {
  const lines = [`route     ${result.route ?? 'none'}`];
  if (result.policy !== undefined) lines.push(`policy    ${result.policy}`);
  if (result.key !== undefined) lines.push(`key       ${result.key}`);
  if (result.shard !== undefined) lines.push(`shard     ${result.shard}`);
  if (result.picked !== undefined) lines.push(`picked    ${result.picked ?? 'none'}`);
  const why = result.choice === undefined || result.choice === 'policy' ? '' : ` (${result.choice})`;
  lines.push(result.chosen === null ? `refused   ${result.refused}` : `region    ${result.chosen}${why}`);
  if (result.fallbacks.length > 0) lines.push(`fallbacks ${result.fallbacks.join(', ')}`);
  if (result.panic) lines.push('panic     too few servers are healthy: health is ignored');
  for (const region of result.regions) {
    const state = `weight ${region.weight}, ${region.healthy}/${region.registered} servers`;
    const verdict =
      region.verdict === 'removed' ? `removed by ${region.stage}: ${region.reason}` : region.verdict;
    lines.push(`  ${region.region.padEnd(16)} ${verdict} (${state})`);
  }
  return `${lines.join('\n')}\n`;
}
