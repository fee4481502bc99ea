// Reads a configuration file from the disk: bounded, and not while somebody is writing to it.

import { type FileHandle, open, stat } from 'node:fs/promises';
import type { ConfigDocument } from './document.ts';
import type { Environment } from './environment.ts';
import {
  type LoadedConfig,
  loadConfig,
  MAX_FILE_BYTES,
  type RefusedConfig,
  tooLarge,
  wholeFile,
} from './load.ts';

export type FileReading =
  | {
      readonly ok: true;
      readonly bytes: Uint8Array;
      /** Equal stamps mean an unchanged file (device, inode, size, times in nanoseconds). */
      readonly stamp: string;
    }
  | { readonly ok: false; readonly message: string; readonly stamp: string };

// An editor that writes in place is done within one read; three tries are patience enough.
const TRIES = 3;

/** The file's content. A file that changes while it is read is read again, three times at most. */
export async function readConfigBytes(path: string): Promise<FileReading> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    for (let attempt = 1; ; attempt++) {
      const before = await handle.stat({ bigint: true });
      const stamp = stampFrom(before);
      if (!before.isFile()) return { ok: false, stamp, message: 'must be a file' };
      if (before.size > MAX_FILE_BYTES) return { ok: false, stamp, message: tooLarge(Number(before.size)) };
      const bytes = Buffer.alloc(Number(before.size));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
      const after = await handle.stat({ bigint: true });
      if (attempt < TRIES && (stampFrom(after) !== stamp || bytesRead < bytes.length)) continue;
      return { ok: true, stamp, bytes: bytes.subarray(0, bytesRead) };
    }
  } catch (error) {
    const message = `cannot be read: ${explainSystemError(error as NodeJS.ErrnoException)}`;
    return { ok: false, stamp: message, message };
  } finally {
    await handle?.close();
  }
}

/** Stamp of the file as it stands now; equal to that of an earlier reading while nothing changed. */
export async function stampOf(path: string): Promise<string> {
  try {
    return stampFrom(await stat(path, { bigint: true }));
  } catch (error) {
    return `cannot be read: ${explainSystemError(error as NodeJS.ErrnoException)}`;
  }
}

/**
 * Which directory stands under this name now; empty when there is none. The time of birth is part of it:
 * a directory that is made anew often gets the inode of the old one.
 */
export async function identityOf(directory: string): Promise<string> {
  try {
    const { dev, ino, birthtimeNs } = await stat(directory, { bigint: true });
    return `${dev} ${ino} ${birthtimeNs}`;
  } catch {
    return '';
  }
}

export interface ConfigFile {
  readonly path: string;
  /** What problems call it. Default: its path. */
  readonly name?: string;
  /** Variables that `${NAME}` may name. */
  readonly env: Environment;
}

/** Reads and loads a configuration file; one that cannot be read is a problem like any other. */
export async function loadConfigFile<Parsed extends object>(
  file: ConfigFile,
  document: ConfigDocument<Parsed>,
): Promise<LoadedConfig<Parsed> | RefusedConfig> {
  const { path, name = path, env } = file;
  const reading = await readConfigBytes(path);
  if (!reading.ok) return { ok: false, problems: [wholeFile(name, reading.message)] };
  return loadConfig({ path: name, text: reading.bytes, env }, document);
}

interface Stamped {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

function stampFrom({ dev, ino, size, mtimeNs, ctimeNs }: Stamped): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'no permission to read it',
  EPERM: 'no permission to read it',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  ELOOP: 'its symbolic links lead in a circle',
  EMFILE: 'this process has too many files open',
};

function explainSystemError({ code, message }: NodeJS.ErrnoException): string {
  return SYSTEM_ERRORS[code ?? ''] ?? message;
}
