import type { Path } from '../../contracts/index.ts'
import { parseDuration } from '../../core/duration.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { suggest } from '../suggest.ts'
import type { Rule } from './rule.ts'

/** Takes a mistake at a path; the loader knows where in the text that is. */
export type AddMistake = (
  code: ErrorCode,
  message: string,
  path: Path,
  options?: { readonly hint?: string; readonly at?: 'key' | 'value' },
) => void

/** Reports everything in a configuration that departs from its schema. Values are not repeated: they may be secrets. */
export function checkConfig(value: Json, rule: Rule, add: AddMistake, path: Path = []): void {
  if (rule.kind === 'any') return
  if (rule.kind === 'list') {
    if (Array.isArray(value)) {
      for (const [at, item] of (value as readonly Json[]).entries()) {
        checkConfig(item, rule.items, add, [...path, at])
      }
    } else if (rule.orOne) checkConfig(value, rule.items, add, path)
    else wrong(add, path, 'a list')
  } else if (rule.kind === 'map' || rule.kind === 'names') {
    if (!isJsonObject(value)) wrong(add, path, 'a map')
    else if (rule.kind === 'map') checkMap(value, rule, add, path)
    else {
      for (const [name, item] of Object.entries(value)) {
        checkConfig(item ?? null, rule.values, add, [...path, name])
      }
    }
  } else if (rule.kind === 'either') {
    checkConfig(value, typeof value === 'string' ? rule.text : rule.map, add, path)
  } else if (rule.kind === 'text') checkText(value, rule, add, path)
  else if (rule.kind === 'size') checkSize(value, add, path)
  else if (rule.kind === 'truth') {
    if (typeof value !== 'boolean') wrong(add, path, 'true or false')
  } else if (rule.kind === 'integer') {
    const fits =
      Number.isInteger(value) && (value as number) >= rule.min && (value as number) <= rule.max
    if (!fits) wrong(add, path, `a whole number from ${rule.min} to ${rule.max}`)
  } else if (typeof value !== 'string' || parseDuration(value) === undefined) {
    wrong(add, path, 'a duration such as 200ms, 5s or 2m')
  }
}

function checkMap(
  value: JsonObject,
  rule: Rule & { kind: 'map' },
  add: AddMistake,
  path: Path,
): void {
  const known = Object.keys(rule.keys)
  for (const [name, item] of Object.entries(value)) {
    const inner = Object.hasOwn(rule.keys, name) ? rule.keys[name] : undefined
    if (inner) checkConfig(item ?? null, inner, add, [...path, name])
    else {
      const free = known.filter((key) => !Object.hasOwn(value, key))
      const hint = suggest(name, free)
      const where = path.length === 0 ? '' : ` in ${shown(path)}`
      add('CONFIG_KEY_UNKNOWN', `unknown key \`${name}\`${where}`, [...path, name], {
        at: 'key',
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }
  for (const name of rule.required ?? []) {
    if (!Object.hasOwn(value, name)) {
      add('CONFIG_VALUE_WRONG', `${shown(path)} lacks the key \`${name}\``, path, { at: 'key' })
    }
  }
  for (const [name, other] of Object.entries(rule.needs ?? {})) {
    if (Object.hasOwn(value, name) && !Object.hasOwn(value, other)) {
      const message = `${shown([...path, name])} is no use without \`${other}\``
      add('CONFIG_VALUE_WRONG', message, [...path, name], { at: 'key' })
    }
  }
  const { oneOf } = rule
  if (oneOf && oneOf.filter((name) => Object.hasOwn(value, name)).length !== 1) {
    const names = oneOf.map((name) => `\`${name}\``).join(' or ')
    add('CONFIG_VALUE_WRONG', `${shown(path)} needs exactly one of ${names}`, path, { at: 'key' })
  }
}

function checkText(value: Json, rule: Rule & { kind: 'text' }, add: AddMistake, path: Path): void {
  if (typeof value !== 'string' || value === '') {
    const hint = typeof value === 'number' ? { hint: 'Put it into quotes.' } : {}
    add('CONFIG_VALUE_WRONG', `${shown(path)} is not a text`, path, hint)
  } else if (rule.choices && !rule.choices.includes(value)) {
    const hint = suggest(value, rule.choices)
    const message = `${shown(path)} is none of ${rule.choices.join(', ')}`
    add('CONFIG_VALUE_WRONG', message, path, hint === undefined ? {} : { hint })
  } else if (rule.secret && !isReference(value, rule.secret)) {
    add('SECRET_PLAIN', `${shown(path)} must be a reference to a secret, not the secret`, path, {
      hint: 'Write secret://env/NAME or secret://file/PATH in its place.',
    })
  } else if (rule.url && hasPlainPassword(value)) {
    add('SECRET_PLAIN', `${shown(path)} holds a password in plain text`, path, {
      hint: 'Write secret://env/NAME in place of the password.',
    })
  } else if (rule.pattern && !rule.pattern.test(value)) {
    wrong(add, path, rule.expected ?? 'something else')
  }
}

function isReference(value: string, kind: true | 'made'): boolean {
  if (/^secret:\/\/(env|file)\/\S+$/.test(value)) return true
  return kind === 'made' && /^secret:\/\/store\/[\w.-]{1,100}$/.test(value)
}

const sizeBytesMax = 1_073_741_824

function checkSize(value: Json, add: AddMistake, path: Path): void {
  const isNumber =
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= sizeBytesMax
  if (isNumber || (typeof value === 'string' && /^\d{1,7}(\.\d+)?(B|KiB|MiB)$/.test(value))) return
  wrong(add, path, 'a size such as 65536, 512KiB or 1MiB')
}

/** Options in which the URLs of brokers and databases hold what nobody else may know. */
const secretOption = /[?&](token|nkey|password|sslpassword)=(?!\/|\.|&|#|$)/i

function hasPlainPassword(url: string): boolean {
  const withoutReferences = url.replaceAll(/secret:\/\/(env|file)\/[^\s"'@?#&]+/g, '')
  return (
    /^[a-z][a-z0-9+.-]*:\/\/[^/@\s]*:[^/@\s]+@/i.test(withoutReferences) ||
    // What stands alone before the host is a token there.
    /^(nats|tls|nats\+tls):\/\/[^@:\s]+@/i.test(withoutReferences) ||
    secretOption.test(withoutReferences)
  )
}

function wrong(add: AddMistake, path: Path, expected: string): void {
  add('CONFIG_VALUE_WRONG', `${shown(path)} is not ${expected}`, path)
}

function shown(path: Path): string {
  return path.length === 0 ? 'the configuration' : `\`${path.join('.')}\``
}
