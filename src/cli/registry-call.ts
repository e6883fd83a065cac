import { type ErrorCode, errorCatalog, errorMessage, TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { CommandContext } from './command.ts'

/** Which registry, and as whom. */
export interface RegistryTarget {
  readonly registry?: string
  readonly key?: string
}

const timeoutMs = 30_000

/**
 * One call to a registry. Its errors are thrown as they would be here, with their codes and findings.
 *
 * @throws USAGE · SECRET_PLAIN · SECRET_NOT_FOUND · REGISTRY_UNAVAILABLE, and what the registry answers
 */
export async function callRegistry(
  context: CommandContext,
  target: RegistryTarget,
  request: { readonly method: string; readonly path: string; readonly body?: Json },
): Promise<JsonObject> {
  const base = baseUrl(target.registry)
  const key = apiKey(context, target.key)
  let response: Response
  let answer: unknown
  try {
    response = await fetch(`${base.href.replace(/\/+$/, '')}${request.path}`, {
      method: request.method,
      headers: {
        accept: 'application/json',
        // Without a key a registry takes changes from its own origin alone; we are no page of another.
        ...(key === undefined ? { origin: base.origin } : { authorization: `Bearer ${key}` }),
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      signal: AbortSignal.any([context.stopping, AbortSignal.timeout(timeoutMs)]),
    })
    answer = await response.json()
  } catch (cause) {
    throw unavailable(base, errorMessage(cause), cause)
  }
  if (!isJsonObject(answer)) throw unavailable(base, `it answered ${response.status}`)
  if (response.ok) return answer
  throw refused(base, response.status, answer)
}

function baseUrl(text: string | undefined): URL {
  const url = text === undefined || !URL.canParse(text) ? undefined : new URL(text)
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '')
    return url
  throw new TreatyError(
    'USAGE',
    text === undefined ? '--registry is missing' : '--registry needs a URL of http or https',
    { hint: 'Add --registry http://127.0.0.1:4400, where treaty serve runs; keys go into --key.' },
  )
}

function apiKey(context: CommandContext, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  if (text.startsWith('secret://')) return context.reveal(text)
  throw new TreatyError('SECRET_PLAIN', '--key must be a reference to a secret, not the secret', {
    hint: 'Write --key secret://env/NAME, or secret://file/PATH.',
  })
}

function unavailable(base: URL, why: string, cause?: unknown): TreatyError {
  return new TreatyError(
    'REGISTRY_UNAVAILABLE',
    `the registry at ${base.origin} cannot be used: ${why}`,
    {
      hint: 'Check the URL, and that treaty serve runs there.',
      ...(cause === undefined ? {} : { cause }),
    },
  )
}

/** The problem that the registry answered with, as an error of ours. */
function refused(base: URL, status: number, problem: JsonObject): TreatyError {
  const { code, detail, hint, details, findings } = problem
  if (typeof code !== 'string' || !Object.hasOwn(errorCatalog, code)) {
    return unavailable(base, `it answered ${status}`)
  }
  return new TreatyError(code as ErrorCode, String(detail ?? 'the registry refused'), {
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(isJsonObject(details) ? { details: details as Record<string, Json> } : {}),
    ...(Array.isArray(findings) ? { findings: findings as unknown as Finding[] } : {}),
  })
}
