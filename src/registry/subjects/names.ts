import { protocolCodes, refusal } from './refusal.ts'

/** A subject's name, taken apart: `:.team:orders-value` is `orders-value` in the context `.team`. */
export interface SubjectName {
  /** `.` is the default context. */
  readonly context: string
  /** May be empty: then the context as a whole is meant. */
  readonly subject: string
  /** As it is written: without context where that is the default. */
  readonly full: string
}

const pattern = /^:(\.[^:]*):(.*)$/s
const lettersMax = 400

/** @throws SUBJECT_REFUSED (42208) for a name with control characters, or one that is too long */
export function parseSubject(text: string): SubjectName {
  const found = pattern.exec(text)
  const context = found?.[1] ?? '.'
  const subject = found?.[2] ?? text
  const isBroken = /\p{Cc}/u.test(text) || !text.isWellFormed() || text.length > lettersMax
  if (isBroken) {
    throw refusal(
      protocolCodes.invalidSubject,
      `A subject has at most ${lettersMax} characters, none of them a control character.`,
    )
  }
  return { context, subject, full: context === '.' ? subject : `:${context}:${subject}` }
}

/** The name under which a whole context is configured. */
export function contextName(context: string): string {
  return context === '.' ? '' : `:${context}:`
}

/** True when the subject is among those that a prefix asks for; `:*:` asks for every context. */
export function hasPrefix(full: string, prefix: string): boolean {
  if (prefix === '' || prefix === ':*:') return true
  if (prefix.startsWith(':*:')) return parseSubject(full).subject.startsWith(prefix.slice(3))
  if (/^:\.?:/.test(prefix)) {
    const rest = prefix.replace(/^:\.?:/, '')
    return !pattern.test(full) && full.startsWith(rest)
  }
  return full.startsWith(prefix)
}
