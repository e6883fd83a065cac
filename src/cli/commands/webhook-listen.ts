import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { InboundDelivery, Receiver, ReceiverEvent } from '../../webhooks/index.ts'
import type { ArgumentsOf, Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { stopCode } from '../stopping.ts'
import { schemeOf, secretsOf, usage } from './webhook-input.ts'
import { networkText } from './webhook-send.ts'

interface Data {
  readonly received: number
  readonly verified: number
  readonly refused: number
}
type Arguments = ArgumentsOf<CommandTable['webhook listen']>

const source = 'listen'

/** Shows webhooks as they come. */
export const webhookListen: Command<CommandTable['webhook listen'], Data> = {
  async run(args, context) {
    if (!/^\d{1,5}$/.test(args.port) || Number(args.port) > 65_535) {
      throw usage(`'${args.port}' is no port`, 'Give a number up to 65535.')
    }
    const counts = { received: 0, verified: 0, refused: 0 }
    const finished = new AbortController()
    const { receiver, close } = await openReceiver(args, context, (event) => {
      counts.received += 1
      if (event.outcome === 'unverified') counts.refused += 1
      else if (event.secretIndex !== undefined) counts.verified += 1
      if (counts.received >= (args.max ?? Number.POSITIVE_INFINITY)) finished.abort()
    })
    const server = await listen(args, receiver)
    const { port } = server.address() as AddressInfo
    const url = `http://${args.host ?? '127.0.0.1'}:${port}`
    await context.emit({ kind: 'ready', url }, ({ dim }) => dim(`listening on ${url}`))
    await untilAborted(AbortSignal.any([finished.signal, context.stopping]))
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeIdleConnections()
    })
    await close()
    const isStopped = context.stopping.aborted && context.stopping.reason !== 'timeout'
    return {
      data: counts,
      ...(isStopped && args.max !== undefined ? { exitCode: stopCode(context.stopping) } : {}),
      toText: () => `${counts.received} received, ${counts.refused} refused`,
    }
  },
}

/** The receiver of the library, over memory: what is shown here is what it will do. */
async function openReceiver(
  args: Arguments,
  context: CommandContext,
  count: (event: ReceiverEvent) => void,
) {
  const [{ createReceiver }, { openStore }] = await Promise.all([
    import('../../webhooks/index.ts'),
    import('../../store/index.ts'),
  ])
  const store = await openStore('memory:', { clock: context.clock })
  const { publicUrl } = args
  const verify =
    args.secret === undefined
      ? ('unsigned' as const)
      : {
          scheme: schemeOf(args.scheme),
          secrets: secretsOf(args.secret, context),
          ...(publicUrl === undefined ? {} : { publicUrl }),
        }
  const receiver = createReceiver({
    sources: { [source]: { verify, handle: (delivery) => show(delivery, args, context) } },
    store,
    clock: context.clock,
    onEvent(event) {
      if (event.outcome !== 'handled') void showOther(event, context)
      count(event)
    },
  })
  return { receiver, close: () => store.close() }
}

async function show(delivery: InboundDelivery, args: Arguments, context: CommandContext) {
  const { id, url, headers, rawBody, secretIndex } = delivery
  const body = delivery.json ?? Buffer.from(rawBody).toString('utf8')
  await context.emit(
    {
      kind: 'delivery',
      id,
      path: url,
      verified: secretIndex !== undefined,
      bytes: rawBody.length,
      headers,
      body,
    },
    ({ bold, dim, green }) => {
      const mark = secretIndex === undefined ? dim('unsigned') : green('verified')
      return `${bold(`POST ${url}`)}  ${mark}  ${id}\n${typeof body === 'string' ? body : JSON.stringify(body, null, 2)}`
    },
  )
  if (args.forwardTo === undefined) return undefined
  return forward(delivery, args.forwardTo, context)
}

/** The same bytes and headers; the answer of the target is the answer. */
async function forward(delivery: InboundDelivery, target: string, context: CommandContext) {
  const { request } = await import('undici')
  const begunAt = context.clock.monotonic()
  try {
    const { 'content-encoding': _encoding, ...headers } = delivery.headers
    const answer = await request(target, {
      method: 'POST',
      headers,
      body: Buffer.from(delivery.rawBody),
      signal: AbortSignal.timeout(9000),
    })
    const status = answer.statusCode
    const body = await answer.body.text()
    const elapsedMs = Math.round(context.clock.monotonic() - begunAt)
    await context.emit({ kind: 'forwarded', id: delivery.id, status, elapsedMs }, ({ dim }) =>
      dim(`  ${target} answered ${status} in ${elapsedMs} ms`),
    )
    return { status, body }
  } catch (error) {
    const message = networkText(error)
    await context.emit({ kind: 'forwarded', id: delivery.id, error: message }, ({ red }) =>
      red(`  ${target}: ${message}`),
    )
    return { status: 502 }
  }
}

async function showOther(event: ReceiverEvent, context: CommandContext): Promise<void> {
  const { outcome, status, id, reason } = event
  await context
    .emit(
      { kind: 'request', outcome, status, ...(id && { id }), ...(reason && { reason }) },
      ({ red, dim }) =>
        outcome === 'unverified'
          ? red(`refused: ${reason}`)
          : dim(`${outcome}, answered ${status}`),
    )
    .catch(() => undefined)
}

async function listen(args: Arguments, receiver: Receiver): Promise<Server> {
  const { nodeHandler, webhookServerOptions } = await import('../../webhooks/index.ts')
  const handle = nodeHandler(receiver, { source })
  const server = createServer(
    webhookServerOptions,
    (request: IncomingMessage, response: ServerResponse) => handle(request, response),
  )
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(Number(args.port), args.host ?? '127.0.0.1', resolve)
  try {
    await promise
  } catch (cause) {
    const isTaken = (cause as { code?: string }).code === 'EADDRINUSE'
    throw new TreatyError(
      isTaken ? 'PORT_IN_USE' : 'LISTEN_FAILED',
      isTaken ? `port ${args.port} is taken` : errorMessage(cause),
      { hint: 'Choose another port, or 0 for a free one.', cause },
    )
  }
  return server
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
