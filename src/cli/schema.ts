// `foreshard schema`: the configuration's JSON Schema for editors, or the same as a table for the README.

import { parseArgs } from 'node:util';
import { PROXY_DOCUMENT, REM_DOCUMENT } from '../config/document.ts';
import { editorSchema } from '../config/json-schema.ts';
import { referenceTable } from '../config/reference.ts';
import { type CommandIo, EXIT_FINE, EXIT_WRONG_USE, explainWrongUse } from './command-io.ts';

const HELP = `Usage: foreshard schema [--rem] [--markdown]

Prints the JSON Schema (2020-12) of proxy.yaml, or of rem.yaml with --rem. An editor with the YAML language server
completes and checks keys by it when the file begins with

  # yaml-language-server: $schema=./proxy.schema.json

after \`foreshard schema > proxy.schema.json\`.

      --rem       of a manager's file
      --markdown  print a table of every key with default, bounds and meaning instead
  -h, --help      this text

Exit code: 0 fine, 2 wrong use.
`;

/** Runs the command with the arguments behind its name; resolves to the exit code. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  let options: { help: boolean; rem: boolean; markdown: boolean };
  try {
    options = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        rem: { type: 'boolean', default: false },
        markdown: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    io.err(`foreshard schema: ${explainWrongUse(error)}\n\n${HELP}`);
    return EXIT_WRONG_USE;
  }
  const document = options.rem ? REM_DOCUMENT : PROXY_DOCUMENT;
  if (options.help) io.out(HELP);
  else if (options.markdown) io.out(referenceTable(document));
  else io.out(`${JSON.stringify(editorSchema(document), null, 2)}\n`);
  return EXIT_FINE;
}
