import { resolveSecrets } from '../core/secret.ts'

/** Knows the secrets of this run, so that they can be replaced in text that is about to be printed. */
export interface Masker {
  /** From now on this value is never printed; also not percent-encoded or as part of a JSON string. */
  add(secret: string): void
  /** Resolves secret references and remembers what they stand for. @throws SECRET_NOT_FOUND */
  reveal(text: string, environment: Readonly<Record<string, string | undefined>>): string
  /** Remembers the password of a URL, if it has one. */
  addPassword(url: string): void
  /** Remembers what looks like a secret in a text that people wrote: passwords of URLs, and values of keys named so. */
  addPlainSecrets(text: string): void
  mask(text: string): string
}

const urlPattern = /[a-z][a-z0-9+.-]*:\/\/[^\s"'@/]*:[^\s"'@/]+@/gi
const namedSecretPattern =
  /\b[\w-]*(?:key|passw(?:or)?d|token|secret)["']?[ \t]*[:=][ \t]*["']?([^\s"',}\]#]+)/gi

/** Shorter values are not looked for: masking every `a` of a text would hide nothing and garble everything. */
const secretCharactersMin = 4

const referencePattern = /secret:\/\/(?:env|file)\/[^\s"'@?#&]+/g

/**
 * The second line of defence: errors of drivers and of the runtime may carry a URL or a key that
 * was revealed to them. The first line is that our own texts never hold one.
 */
export function createMasker(): Masker {
  const secrets = new Set<string>()
  function add(secret: string): void {
    if (secret.length < secretCharactersMin) return
    secrets.add(secret)
    secrets.add(encodeURIComponent(secret))
    secrets.add(JSON.stringify(secret).slice(1, -1))
  }
  function addPassword(url: string): void {
    for (const password of passwordsIn(url)) {
      if (password.startsWith('secret:')) continue
      add(password)
      add(decoded(password))
    }
  }
  return {
    add,
    addPassword,
    addPlainSecrets(text) {
      for (const [url] of text.matchAll(urlPattern)) addPassword(url)
      for (const [, value = ''] of text.matchAll(namedSecretPattern)) {
        // In a list the reference itself looks like a key and its value.
        if (!/^(?:secret:|\/\/(?:env|file|store)\/)/.test(value)) add(value)
      }
    },
    reveal(text, environment) {
      for (const [reference] of text.matchAll(referencePattern)) {
        add(resolveSecrets(reference, environment).reveal())
      }
      return resolveSecrets(text, environment).reveal()
    },
    mask(text) {
      let masked = text
      for (const secret of secrets) masked = masked.replaceAll(secret, '[secret]')
      return masked
    },
  }
}

/** Also those that are not percent-encoded where they have to be, tokens in front of the host, and secrets among the options. */
function passwordsIn(url: string): string[] {
  const inFront =
    /^[a-z][a-z0-9+.-]*:\/\/[^/@\s:]*:(?!\d+(?:[/?#]|$))(\S+)@/i.exec(url) ??
    /^(?:nats|tls|nats\+tls):\/\/([^@:\s]+)@/i.exec(url)
  const options = [...url.matchAll(/[?&](?:token|nkey|password|sslpassword)=([^&#\s]+)/gi)]
  return [inFront?.[1], ...options.map(([, value]) => value)].filter((text) => text !== undefined)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // Not percent-encoded: it is what it says.
  }
}
