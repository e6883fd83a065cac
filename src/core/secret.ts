import { readFileSync } from 'node:fs'
import { TreatyError } from './errors.ts'

const inspect = Symbol.for('nodejs.util.inspect.custom')

/**
 * A value that is never printed: text, JSON and inspection show `[secret]`. {@link Secret.reveal}
 * is the only way to it, called where the value leaves the process.
 */
export class Secret {
  readonly #value: string
  /** Where it came from, for messages: `secret://env/NAME`. */
  readonly reference: string

  constructor(reference: string, secret: string) {
    this.reference = reference
    this.#value = secret
  }

  reveal(): string {
    return this.#value
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [inspect](): string {
    return '[secret]'
  }
}

const referencePattern = /secret:\/\/(env|file)\/([^\s"'@?#&]+)/g

/** True when the text holds at least one secret reference. */
export function hasSecretReference(text: string): boolean {
  return text.match(referencePattern) !== null
}

/**
 * The text with every `secret://env/NAME` and `secret://file/PATH` replaced by its value, as a
 * {@link Secret}; also inside URLs, where the value is percent-encoded. A file's last line break is not part of it.
 *
 * @throws SECRET_NOT_FOUND when the variable or the file is not there
 */
export function resolveSecrets(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): Secret {
  const inUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && !text.startsWith('secret://')
  const resolved = text.replaceAll(referencePattern, (reference, kind: string, name: string) => {
    const found = kind === 'env' ? environment[name] : readSecretFile(`/${name}`, reference)
    if (found === undefined || found === '') {
      throw new TreatyError('SECRET_NOT_FOUND', `the secret ${reference} is not there`, {
        hint:
          kind === 'env'
            ? `Set the environment variable ${name}.`
            : `Write the secret to the file /${name}.`,
        details: { reference },
      })
    }
    return inUrl ? encodeURIComponent(found) : found
  })
  return new Secret(text, resolved)
}

function readSecretFile(path: string, reference: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new TreatyError('SECRET_NOT_FOUND', `the secret ${reference} cannot be read`, {
      hint: `Check that the file ${path} exists and may be read.`,
      details: { reference },
      cause,
    })
  }
}

/** What stands before the last `@` of a URL whose authority ends where it should. */
const userinfo = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/i
/**
 * What stands before the last `@` where something else than a host with a port follows the scheme: a password with a slash, a
 * question mark or an `@` in it, which nobody percent-encoded. Rather too much is masked than a part of it shown.
 */
const brokenUserinfo =
  /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#\s:[\]]*:(?!\d+(?:[/?#]|$))|[^/?#\s]*@)\S*@/i
/** Schemes whose URLs have an `@` nowhere but behind user, password or token. */
const brokers =
  /^((?:kafka(?:\+ssl)?|nats|tls|nats\+tls|amqps?|rediss?|valkeys?|postgres(?:ql)?):\/\/)\S*@/i

/** An option that holds a secret, and whatever follows: nobody can say where one ends that is not percent-encoded. */
const secretOption = /([?&](?:token|nkey|password|sslpassword)=)\S+/i

/** A URL fit for printing: user, password and query values masked. Text that is no URL comes back as it is. */
export function redactUrl(text: string): string {
  return text
    .replace(secretOption, '$1***')
    .replace(brokers, '$1***@')
    .replace(brokenUserinfo, '$1***@')
    .replace(userinfo, '$1***@')
    .replaceAll(/([?&][^=&#\s]+)=[^&#\s]+/g, '$1=***')
}
