// All that is wrong with a policy document of the API, in the words of `foreshard check`.

import { z } from 'zod';
import { allowedBy, keysOf, type SchemaNode, schemaAt } from './json-schema.ts';
import { formatPath, listNames, type Path } from './problem.ts';
import { policyDocument } from './schema-policy.ts';

let made: SchemaNode | undefined;

/** The schema with its facts. Made once: it costs some milliseconds. */
function node(): SchemaNode {
  made ??= z.toJSONSchema(policyDocument, { io: 'input', reused: 'inline' }) as SchemaNode;
  return made;
}

/** Sentences, each from the path on; none when it is a policy. */
export function policyProblems(document: unknown): string[] {
  const { error } = policyDocument.safeParse(document);
  return (error?.issues ?? []).map((issue) => {
    const path = issue.path as Path;
    const at = schemaAt(node(), path);
    if (issue.code === 'unrecognized_keys') {
      const unknown = issue.keys.map((key) => formatPath([...path, key])).join(', ');
      return `${unknown}: unknown key; allowed are ${listNames(keysOf(at))}`;
    }
    return `${formatPath(path) || 'body'}: must be ${allowedBy(at)}`;
  });
}
