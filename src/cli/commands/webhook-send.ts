import { errorMessage } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { bodyOf, schemeOf, secretsOf, usage } from './webhook-input.ts'

interface Data {
  readonly id: string
  readonly url: string
  /** Absent where no answer came. */
  readonly status?: number
  readonly error?: string
  /** The beginning of what was answered. */
  readonly response?: string
  readonly elapsedMs: number
}

const responseCharactersMax = 2000

/** Signs one request and sends it. */
export const webhookSend: Command<CommandTable['webhook send'], Data> = {
  async run(args, context) {
    if (URL.parse(args.url) === null) throw usage(`'${args.url}' is no URL`, 'Write http://…')
    const { sign } = await import('../../webhooks/index.ts')
    const rawBody = await bodyOf(args.data, context)
    const id = args.id ?? createIdSource(context.clock)()
    const headers = sign({
      scheme: schemeOf(args.scheme),
      secrets: secretsOf(args.secret, context),
      id,
      timestamp: new Date(context.clock.now()),
      rawBody,
      url: args.url,
    })
    const begunAt = context.clock.monotonic()
    const answer = await post(args.url, {
      headers: { 'content-type': args.contentType ?? 'application/json', ...headers },
      body: rawBody,
    })
    const elapsedMs = Math.round(context.clock.monotonic() - begunAt)
    const isTaken = 'status' in answer && answer.status >= 200 && answer.status < 300
    const told = 'status' in answer ? String(answer.status) : answer.error
    return {
      data: { id, url: args.url, ...answer, elapsedMs },
      exitCode: isTaken ? exitCode.ok : exitCode.unavailable,
      toText: ({ green, red, symbols }) =>
        `${isTaken ? green(`${symbols.ok} ${told}`) : red(`${symbols.fail} ${told}`)}  ${id}, ${elapsedMs} ms`,
    }
  },
}

async function post(
  url: string,
  request: { headers: Record<string, string>; body: Buffer },
): Promise<{ status: number; response: string } | { error: string }> {
  const { request: call } = await import('undici')
  try {
    const { statusCode, body } = await call(url, {
      method: 'POST',
      headers: request.headers,
      body: request.body,
      signal: AbortSignal.timeout(15_000),
    })
    const text = await body.text()
    return { status: statusCode, response: text.slice(0, responseCharactersMax) }
  } catch (error) {
    return { error: networkText(error) }
  }
}

/** The text with the code of the operating system, which says more. */
export function networkText(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? `${code} ${errorMessage(error)}`.trim() : errorMessage(error)
}
