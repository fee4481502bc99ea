// Who waits for the next plan at the control port. Bounded in number and time, and let go when the port
// closes: a poll that nothing ends must neither pile up nor hold up a drain.

// Proxies, dashboards and scripts of one installation.
const MAX_POLLS = 1000;

export class PlanPolls {
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  /** Resolves at the next `wake`, after `waitMs`, or at once when too many wait already. */
  next(waitMs: number): Promise<void> {
    if (this.#isClosed || waitMs <= 0 || this.#waiting.size >= MAX_POLLS) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, waitMs);
      this.#waiting.add(finish);
    });
  }

  /** Another plan is in force. */
  wake(): void {
    for (const finish of [...this.#waiting]) finish();
  }

  /** Nobody waits from here on. */
  close(): void {
    this.#isClosed = true;
    this.wake();
  }
}
