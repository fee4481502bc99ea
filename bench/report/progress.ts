// The line that says what a bench does now. On a terminal it is rewritten in place; in a log each
// change is a line of its own, because carriage returns make a CI log unreadable. It goes to stderr:
// stdout holds results only, so that `--json` can be piped.

export interface Progress {
  /** Replaces the line. */
  show(text: string): void;
  /** Removes the line (terminal) before other output. */
  clear(): void;
}

export interface ProgressSink {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Without a `columns` from the terminal: the width that nearly all have. */
const DEFAULT_COLUMNS = 80;

export function openProgress(sink: ProgressSink = process.stderr): Progress {
  if (sink.isTTY !== true) {
    return { show: (text) => void sink.write(`${text}\n`), clear: () => undefined };
  }
  const erase = '\r\u001b[K';
  return {
    show: (text) => {
      // A line that wraps cannot be erased by a carriage return: it is cut instead.
      const room = (sink.columns ?? DEFAULT_COLUMNS) - 1;
      sink.write(erase + (text.length > room ? `${text.slice(0, room - 3)}...` : text));
    },
    clear: () => void sink.write(erase),
  };
}
