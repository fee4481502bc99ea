// What a command may do with the outside: write lines, read the environment, resolve paths. Commands return
// their exit code: 0 fine, 1 failed, 2 wrong use.

export interface CommandIo {
  out(text: string): void;
  err(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export type Command = (args: readonly string[], io: CommandIo) => Promise<number>;
