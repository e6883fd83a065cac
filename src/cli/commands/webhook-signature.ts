import { createIdSource } from '../../core/ids.ts'
import type { Verdict } from '../../webhooks/index.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { bodyOf, headersOf, schemeOf, secretsOf, timeOf } from './webhook-input.ts'

type Headers = Readonly<Record<string, string>>

/** Prints the headers that sign a body. */
export const webhookSign: Command<CommandTable['webhook sign'], { readonly headers: Headers }> = {
  async run(args, context) {
    const { sign } = await import('../../webhooks/index.ts')
    const headers = sign({
      scheme: schemeOf(args.scheme),
      secrets: secretsOf(args.secret, context),
      id: args.id ?? createIdSource(context.clock)(),
      timestamp: args.at === undefined ? new Date(context.clock.now()) : timeOf(args.at, context),
      rawBody: await bodyOf(args.data, context),
      ...(args.url === undefined ? {} : { url: args.url }),
    })
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    return { data: { headers }, toText: () => lines.join('\n') }
  },
}

/** Says whether a signature holds. */
export const webhookVerify: Command<CommandTable['webhook verify'], Verdict> = {
  async run(args, context) {
    const { verify } = await import('../../webhooks/index.ts')
    const verdict = verify({
      scheme: schemeOf(args.scheme),
      secrets: secretsOf(args.secret, context),
      headers: await headersOf(args.headers, context),
      rawBody: await bodyOf(args.data, context),
      now: args.at === undefined ? new Date(context.clock.now()) : timeOf(args.at, context),
      ...(args.url === undefined ? {} : { url: args.url }),
      ...(args.method === undefined ? {} : { method: args.method }),
    })
    return {
      data: verdict,
      exitCode: verdict.ok ? exitCode.ok : exitCode.findings,
      toText: ({ green, red, symbols }) =>
        verdict.ok
          ? `${green(`${symbols.ok} verified`)}  id ${verdict.id ?? '–'}, secret ${verdict.secretIndex + 1}`
          : `${red('not verified')}  ${explanations[verdict.reason]}`,
    }
  },
}

const explanations = {
  missing: 'missing: a header of the scheme, or the URL that it signs',
  malformed: 'malformed: a header comes twice or is not in its form',
  stale: 'stale: the timestamp is more than 300 seconds off; say --at for an old request',
  mismatch: 'mismatch: no secret signs these bytes this way',
} as const
