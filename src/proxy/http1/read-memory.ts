// Memory that answers of a server are read into. One buffer serves as long as all that was read is passed on
// at once; what a slow client still needs is left to it, and a second buffer takes the next read. Given back,
// it waits to be used again: a slow client costs two buffers, not a new one for every read.

// One read: 64 KiB, which servers like to send at once, and a head. Pages that no answer reaches are never
// touched, so that small answers cost little memory.
const READ_BYTES = 81_920;
// Before it, so that a longer head for the client finds room where the server's was.
const HEAD_ROOM_BYTES = 2048;
const NONE = Buffer.alloc(0);

export class ReadMemory {
  #current: Buffer = NONE;
  // Somebody holds on to what was read: the next read needs other memory.
  #isTaken = true;
  // Out until `giveBack`.
  #lent: Buffer | null = null;
  #spare: Buffer | null = null;

  /** What the last read went to. */
  get current(): Buffer {
    return this.#current;
  }

  /**
   * Memory for the next read.
   * @param comesBack whether who holds on to the last one will say when it needs it no more. The holder of an
   * answer's end does not: that memory is its own.
   */
  next(comesBack: boolean): Buffer {
    if (!this.#isTaken) return this.#current;
    this.#isTaken = false;
    this.#lent = comesBack && this.#current !== NONE ? this.#current : null;
    this.#current =
      this.#spare ?? Buffer.allocUnsafeSlow(HEAD_ROOM_BYTES + READ_BYTES).subarray(HEAD_ROOM_BYTES);
    this.#spare = null;
    return this.#current;
  }

  /** Bytes before this piece that nobody needs any more; -1 when it is not from this memory. */
  roomBefore(piece: Buffer): number {
    return piece.buffer === this.#current.buffer ? piece.byteOffset : -1;
  }

  /** A piece of the last read is still needed. */
  keep(): void {
    this.#isTaken = true;
  }

  /** Who held on to the last memory needs it no more. */
  giveBack(): void {
    if (this.#lent !== null) this.#spare = this.#lent;
    this.#lent = null;
  }

  /** The answer is over: nothing comes back, and a connection that waits keeps one buffer. */
  forget(): void {
    this.#lent = null;
    this.#spare = null;
  }
}
