// What every caller of fetch needs beside it: why it failed, and a body that is read no further than a limit.

/** fetch says "fetch failed" and hides the reason (ECONNREFUSED) behind it. */
export function rootCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : rootCause(error.cause);
}

/** The bytes of an answer; undefined when there are more than `maxBytes`, and its connection is closed then. */
export async function readBytes(answer: Response, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the body and with it the connection.
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
