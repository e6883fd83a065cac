import { existsSync } from 'node:fs'
import { TreatyError } from '../../core/errors.ts'
import type { Attempt, Endpoint, Sender } from '../../webhooks/index.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'
import { timeOf, usage } from './webhook-input.ts'

type EndpointArguments = ArgumentsOf<CommandTable['webhook endpoint']>
type Shown = Endpoint & { readonly secret?: string }

/** Lists and changes endpoints. */
export const webhookEndpoint: Command<CommandTable['webhook endpoint'], unknown> = {
  run: (args, context) => withSender(context, args, (sender) => manage(sender, args, context)),
}

/** Shows the delivery log, or sends once more. */
export const webhookAttempt: Command<CommandTable['webhook attempt'], unknown> = {
  run: (args, context) =>
    withSender(context, args, async (sender): Promise<CommandResult> => {
      const { action, endpoint, message, limit = 50, cursor } = args
      if (action === 'redeliver') {
        if (message === undefined) throw usage('--message is missing', 'Name the message.')
        await sender.redeliver(message, endpoint)
        return done({ endpoint, message }, `${message} goes to ${endpoint} once more`)
      }
      if (action !== 'list') throw unknownAction(action, 'list or redeliver')
      const data = await sender.attempts({
        endpointId: endpoint,
        limit,
        ...(message === undefined ? {} : { messageId: message }),
        ...(cursor === undefined ? {} : { cursor }),
      })
      return { data, toText: (style) => attemptsText(data.items, style) }
    }),
}

/** Sends what was missed. */
export const webhookRecover: Command<CommandTable['webhook recover'], unknown> = {
  run: (args, context) =>
    withSender(context, args, async (sender): Promise<CommandResult> => {
      const { endpoint, since, until } = args
      if (since === undefined) throw usage('--since is missing', 'Write 24h, or a time.')
      const recovered = await sender.recover(endpoint, {
        since: timeOf(since, context),
        ...(until === undefined ? {} : { until: timeOf(until, context) }),
      })
      const what = recovered === 1 ? 'message goes' : 'messages go'
      return done({ endpoint, recovered }, `${recovered} ${what} to ${endpoint}`)
    }),
}

/** Manages only: what is to be delivered is left to the process that runs. */
async function withSender(
  context: CommandContext,
  args: { readonly sender?: string; readonly allowPrivate?: boolean },
  work: (sender: Sender) => Promise<CommandResult>,
): Promise<CommandResult> {
  const settings = await context.settings()
  const [{ openStore, sqlitePath }, { storeUrlFor }, { createSender }] = await Promise.all([
    import('../../store/index.ts'),
    import('../../messaging/index.ts'),
    import('../../webhooks/index.ts'),
  ])
  const url = context.reveal(settings.store ?? storeUrlFor(context.reveal(settings.transport)))
  if (url.startsWith('sqlite:') && !existsSync(sqlitePath(url))) {
    context.note(`a new store is made at ${sqlitePath(url)}`)
  }
  const store = await openStore(url, { clock: context.clock })
  try {
    const sender = await createSender({
      store,
      dispatch: false,
      clock: context.clock,
      ...(args.sender === undefined ? {} : { name: args.sender }),
      ...(args.allowPrivate
        ? { egress: { https: 'optional', privateNetworks: 'allow', ports: 'any' } }
        : {}),
    })
    try {
      return await work(sender)
    } finally {
      await sender.close()
    }
  } finally {
    await store.close()
  }
}

async function manage(
  sender: Sender,
  args: EndpointArguments,
  context: CommandContext,
): Promise<CommandResult> {
  const { endpoints } = sender
  if (args.action === 'list') {
    const items = await endpoints.list()
    return { data: { items }, toText: (style) => endpointsText(items, style) }
  }
  const { target } = args
  if (target === undefined) throw usage(`${args.action} of what?`, 'Name the endpoint.')
  switch (args.action) {
    case 'show':
      return shown(await existing(sender, target))
    case 'add':
      return shown(await add(sender, args, target))
    case 'update':
      return shown(await endpoints.update(target, changesOf(args)))
    case 'enable':
      return shown(await endpoints.enable(target))
    case 'disable':
      return shown(await endpoints.disable(target, args.reason))
    case 'rotate': {
      await existing(sender, target)
      const secret = await endpoints.rotateSecret(target)
      context.note('the secret before goes on signing for 24 hours')
      return done({ id: target, secret }, `new secret: ${secret}`)
    }
    case 'verify': {
      const proof = await endpoints.verify(target)
      return {
        data: { id: target, ...proof },
        exitCode: proof.ok ? exitCode.ok : exitCode.findings,
        toText: () => (proof.ok ? `${target} is active` : `not verified: ${proof.reason}`),
      }
    }
    case 'remove':
      await existing(sender, target)
      await endpoints.remove(target)
      return done({ id: target, removed: true }, `${target} is gone`)
    default:
      throw unknownAction(
        args.action,
        'list, show, add, update, enable, disable, rotate, verify or remove',
      )
  }
}

function add(sender: Sender, args: EndpointArguments, url: string): Promise<Shown> {
  const { id, algorithm } = args
  return sender.endpoints.add({
    ...changesOf(args),
    url,
    ...(id === undefined ? {} : { id }),
    ...(algorithm === undefined ? {} : { algorithm: algorithm as 'hmac-sha256' | 'ed25519' }),
  })
}

function changesOf(args: EndpointArguments) {
  const { events, url, filter, order, throttle, concurrency, description } = args
  return {
    ...(filter === undefined ? {} : { filter }),
    ...(events === undefined ? {} : { events }),
    ...(url === undefined ? {} : { url }),
    ...(order === undefined ? {} : { order: order as Endpoint['order'] }),
    ...(throttle === undefined ? {} : { throttlePerSecond: throttle }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(description === undefined ? {} : { description }),
  }
}

async function existing(sender: Sender, id: string): Promise<Endpoint> {
  const found = await sender.endpoints.get(id)
  if (found) return found
  throw new TreatyError('WEBHOOK_ENDPOINT_NOT_FOUND', `there is no endpoint ${id}`, {
    hint: 'Run treaty webhook endpoint list.',
    details: { id },
  })
}

function unknownAction(action: string, known: string): TreatyError {
  return usage(`'${action}' is no action`, `Use ${known}.`)
}

function done(data: unknown, text: string): CommandResult {
  return { data, toText: ({ green, symbols }) => `${green(symbols.ok)} ${text}` }
}

function shown(endpoint: Shown): CommandResult {
  return {
    data: endpoint,
    toText: (style) => {
      const secret = endpoint.secret === undefined ? '' : `\nsecret: ${endpoint.secret}`
      return endpointsText([endpoint], style) + secret
    },
  }
}

function endpointsText(items: readonly Endpoint[], style: Style): string {
  if (items.length === 0) return 'there are no endpoints'
  const hasFilter = items.some(({ filter }) => filter !== undefined)
  const rows = items.map(({ id, status, disabledReason, events, filter, url }) => [
    id,
    disabledReason === undefined ? status : `${status} (${disabledReason})`,
    events.join(','),
    ...(hasFilter ? [filter ?? ''] : []),
    url,
  ])
  const head = ['endpoint', 'state', 'events', ...(hasFilter ? ['filter'] : []), 'url']
  return renderTable(head, rows, style)
}

function attemptsText(items: readonly Attempt[], style: Style): string {
  if (items.length === 0) return 'there were no attempts'
  const rows = items.map(({ at, messageId, type, attempt, outcome, status, error, elapsedMs }) => [
    new Date(at).toISOString(),
    messageId,
    type,
    String(attempt),
    outcome,
    String(status ?? error ?? ''),
    `${elapsedMs} ms`,
  ])
  return renderTable(['at', 'message', 'type', 'attempt', 'outcome', 'answer', 'took'], rows, style)
}
