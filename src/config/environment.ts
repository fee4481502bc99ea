// `${NAME}` and `${NAME:-default}` in values. Replaced after YAML is parsed, one scalar at a time, so
// that a variable can hold any text without becoming structure; what comes out of a variable is not
// looked at again.

export interface Substitution {
  readonly text: string;
  /** Whether anything was replaced. */
  readonly replaced: boolean;
  /** Sentences about what could not be replaced; then `text` means nothing. */
  readonly problems: readonly string[];
}

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** For messages. */
export const VARIABLE_FORMS = `\${NAME} or \${NAME:-default}`;

const REFERENCE = /\$\$\{|\$\{([^}]*)\}|\$\{/g;
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;
// A variable can hold 128 KiB and be named many times over; no setting is that long.
const MAX_CHARACTERS = 65_536;

/**
 * Replaces every `${NAME}` by the variable's value, and `${NAME:-default}` by the default when the
 * variable is not set or empty (as a shell does). `$${` is a literal `${`.
 */
export function substitute(source: string, env: Environment): Substitution {
  if (!source.includes('${')) return { text: source, replaced: false, problems: [] };
  const problems: string[] = [];
  let room = MAX_CHARACTERS;
  const text = source.replace(REFERENCE, (whole, inside: string | undefined) => {
    if (whole === '$${') return '${';
    const value = resolve(inside, env, problems);
    room -= value.length;
    return room < 0 ? '' : value;
  });
  if (room < 0) problems.push(`must be at most ${MAX_CHARACTERS} characters after variables are replaced`);
  return { text, replaced: true, problems };
}

function resolve(inside: string | undefined, env: Environment, problems: string[]): string {
  const match = inside === undefined ? null : NAME_AND_DEFAULT.exec(inside);
  if (match === null) {
    problems.push(`a variable must be written ${VARIABLE_FORMS}; for a literal \${ write $\${`);
    return '';
  }
  const [, name, fallback] = match;
  const value = Object.hasOwn(env, name!) ? env[name!] : undefined;
  if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
  if (value !== undefined) return value;
  problems.push(
    `the environment variable ${name} is not set; set it, or give a default: \${${name}:-default}`,
  );
  return '';
}

/**
 * What an unquoted value becomes: a number or boolean when it is written exactly as one would print
 * it, else text. `007` and `1e3` stay text: a variable that only looks like a number must not lose
 * a character.
 */
export function typedScalar(text: string): string | number | boolean {
  if (text === 'true') return true;
  if (text === 'false') return false;
  const number = Number(text);
  return Number.isFinite(number) && String(number) === text ? number : text;
}
