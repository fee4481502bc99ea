// What a command may touch besides its files: where it writes, its variables and its directory. Handed in,
// so that tests run a command as main.ts does, without a process of its own.

export interface CommandIo {
  /** Writes to stdout as given; lines bring their own line break. */
  out(text: string): void;
  /** The same to stderr: wrong use, and what went wrong besides the command's own result. */
  err(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  /** Relative paths start here. */
  readonly cwd: string;
}

/** Exit codes of the contract. */
export const EXIT_FINE = 0;
export const EXIT_FAILED = 1;
export const EXIT_WRONG_USE = 2;

/** Message of an error that parseArgs throws for wrong use, on one line; anything else is thrown on. */
export function explainWrongUse(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (!(error instanceof Error) || !code.startsWith('ERR_PARSE_ARGS_')) throw error;
  return error.message.split('\n')[0]!;
}

/** A command of the command line; resolves to its exit code. */
export type Command = (args: readonly string[], io: CommandIo) => Promise<number>;
