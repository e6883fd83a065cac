import { parseDuration } from '../../core/duration.ts'
import { TreatyError } from '../../core/errors.ts'
import type { SchemeName } from '../../webhooks/index.ts'
import type { CommandContext } from '../command.ts'
import { readAll } from '../read-input.ts'

/** The bytes of `--data`. @throws USAGE · the FILE_ codes */
export async function bodyOf(text: string | undefined, context: CommandContext): Promise<Buffer> {
  if (text === undefined)
    throw usage('--data is missing', 'Give text, @FILE, or - for standard input.')
  if (text === '-') return readAll('-', context)
  return text.startsWith('@') ? readAll(text.slice(1), context) : Buffer.from(text)
}

/** The values of `--secret`. @throws SECRET_NOT_FOUND · USAGE */
export function secretsOf(given: readonly string[] | undefined, context: CommandContext): string[] {
  const secrets = (given ?? []).map((text) => context.reveal(text))
  if (secrets.length > 0) return secrets
  throw usage('--secret is missing', 'Give secret://env/NAME.')
}

/** The parser has checked the choice. */
export function schemeOf(name: string | undefined): SchemeName {
  return (name ?? 'standard-webhooks') as SchemeName
}

/** Headers from a JSON object, or from lines `Name: value`. @throws USAGE · the FILE_ codes */
export async function headersOf(
  text: string | undefined,
  context: CommandContext,
): Promise<Record<string, string | string[]>> {
  if (text === undefined) throw usage('--headers is missing', 'Give a JSON object, or @FILE.')
  const whole = text.startsWith('@') ? (await readAll(text.slice(1), context)).toString() : text
  if (whole.trimStart().startsWith('{')) {
    try {
      return JSON.parse(whole) as Record<string, string>
    } catch {
      throw usage('--headers is no JSON', 'Check quotes and commas.')
    }
  }
  const headers: Record<string, string | string[]> = {}
  for (const line of whole.split(/\r?\n/)) {
    const at = line.indexOf(':')
    if (at < 1) continue
    const name = line.slice(0, at).trim().toLowerCase()
    const value = line.slice(at + 1).trim()
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}

/** A point in time: RFC 3339, or a duration before now. @throws USAGE */
export function timeOf(text: string, context: CommandContext): Date {
  const agoMs = parseDuration(text)
  if (agoMs !== undefined) return new Date(context.clock.now() - agoMs)
  const at = new Date(text)
  if (Number.isFinite(at.getTime())) return at
  throw usage(`'${text}' is no time`, 'Write 2026-01-01T00:00:00Z, or 24h for a day ago.')
}

export function usage(message: string, hint: string): TreatyError {
  return new TreatyError('USAGE', message, { hint })
}
