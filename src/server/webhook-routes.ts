import type { FastifyInstance } from 'fastify'
import { TreatyError } from '../core/errors.ts'
import type { EndpointOptions, Receiver, Sender } from '../webhooks/index.ts'
import { fastifyHooks } from '../webhooks/index.ts'
import { pageQuery, pathParams } from './route-schemas.ts'

const read = { access: 'read' } as const
const write = { access: 'write' } as const
const text = { type: 'string', minLength: 1, maxLength: 2000 } as const

/** What an endpoint may be asked to be; the same names as in the library. */
const endpointProperties = {
  url: text,
  events: { type: 'array', items: text, minItems: 1, maxItems: 100 },
  headers: { type: 'object', additionalProperties: { type: 'string', maxLength: 1000 } },
  throttlePerSecond: { type: 'number', exclusiveMinimum: 0 },
  concurrency: { type: 'integer', minimum: 1, maximum: 1000 },
  order: { enum: ['none', 'key', 'fifo'] },
  onExhausted: { enum: ['skip', 'stop'] },
  description: text,
  filter: { type: 'string', maxLength: 4000 },
  schedule: { type: 'array', maxItems: 100, items: { type: 'integer', minimum: 0 } },
  timeoutMs: { type: 'integer', minimum: 1, maximum: 3_600_000 },
} as const

export interface WebhookRoutes {
  /** A function where the sender comes later, or is exchanged. */
  readonly sender?: Sender | (() => Sender)
  readonly receiver?: Receiver
  /** Path → source, for sources whose path is not `/hooks/` and their name. */
  readonly paths?: Readonly<Record<string, string>>
}

type SenderOf = () => Sender

/**
 * Webhooks over HTTP, before the server listens: deliveries under `/hooks/:source`, which need no key because their
 * signature is one, and the management of outgoing ones under `/api/webhooks`.
 */
export async function registerWebhooks(
  app: FastifyInstance,
  { sender, receiver, paths = {} }: WebhookRoutes,
): Promise<void> {
  if (receiver) {
    const config = { access: 'open', programs: true } as const
    const summary = 'Webhooks of a source; the signature is the key'
    await app.register(fastifyHooks(receiver, { config, paths, summary }))
    registerSources(app, receiver, paths)
  }
  if (!sender) return
  const senderOf: SenderOf = typeof sender === 'function' ? sender : () => sender
  registerEndpoints(app, senderOf)
  registerEndpointActions(app, senderOf)
  registerDeliveries(app, senderOf)
}

function registerSources(
  app: FastifyInstance,
  receiver: Receiver,
  paths: Readonly<Record<string, string>>,
): void {
  const own = new Map(Object.entries(paths).map(([path, source]) => [source, path]))
  const none = { outcomes: {}, unverified: {}, secrets: {} }
  app.get(
    '/api/webhooks/sources',
    {
      config: read,
      schema: { summary: 'Who sends webhooks, and what became of them in this process' },
    },
    async () => {
      const stats = receiver.stats()
      const items = receiver.sourceNames.map((name) => ({
        name,
        path: own.get(name) ?? `/hooks/${name}`,
        ...(stats[name] ?? none),
      }))
      return { items }
    },
  )
}

function registerEndpoints(app: FastifyInstance, senderOf: SenderOf): void {
  const byId = pathParams('id')
  app.get(
    '/api/webhooks/endpoints',
    { config: read, schema: { summary: 'Where webhooks are sent to' } },
    async () => ({ items: await senderOf().endpoints.list() }),
  )
  app.post<{ Body: EndpointOptions }>(
    '/api/webhooks/endpoints',
    {
      config: write,
      schema: {
        summary: 'Adds an endpoint; its secret is in this answer and in no other',
        body: {
          type: 'object',
          required: ['url'],
          additionalProperties: false,
          properties: {
            ...endpointProperties,
            id: text,
            secret: text,
            algorithm: { enum: ['hmac-sha256', 'ed25519'] },
          },
        },
      },
    },
    async ({ body }, reply) => reply.code(201).send(await senderOf().endpoints.add(body)),
  )
  app.get<{ Params: { id: string } }>(
    '/api/webhooks/endpoints/:id',
    { config: read, schema: { summary: 'One endpoint, without its secret', params: byId } },
    async ({ params: { id } }) => existing(senderOf(), id),
  )
  app.patch<{ Params: { id: string }; Body: Partial<EndpointOptions> }>(
    '/api/webhooks/endpoints/:id',
    {
      config: write,
      schema: {
        summary: 'Changes an endpoint',
        params: byId,
        body: { type: 'object', additionalProperties: false, properties: endpointProperties },
      },
    },
    async ({ params: { id }, body }) => senderOf().endpoints.update(id, body),
  )
  app.delete<{ Params: { id: string } }>(
    '/api/webhooks/endpoints/:id',
    {
      config: write,
      schema: { summary: 'Removes an endpoint and what waits for it', params: byId },
    },
    async ({ params: { id } }, reply) => {
      await existing(senderOf(), id)
      await senderOf().endpoints.remove(id)
      return reply.code(204).send()
    },
  )
}

function registerEndpointActions(app: FastifyInstance, senderOf: SenderOf): void {
  const actions: Readonly<
    Record<string, [summary: string, run: (id: string) => Promise<unknown>]>
  > = {
    enable: ['Delivers to it again', (id) => senderOf().endpoints.enable(id)],
    disable: [
      'Delivers nothing to it; what waits is kept',
      (id) => senderOf().endpoints.disable(id),
    ],
    verify: ['Asks it to prove itself', (id) => senderOf().endpoints.verify(id)],
    'rotate-secret': [
      'Gives it a new secret; the old one signs beside it for the overlap',
      async (id) => ({ secret: await senderOf().endpoints.rotateSecret(id) }),
    ],
  }
  for (const [action, [summary, run]] of Object.entries(actions)) {
    app.post<{ Params: { id: string } }>(
      `/api/webhooks/endpoints/:id/${action}`,
      { config: write, schema: { summary, params: pathParams('id') } },
      async ({ params: { id } }) => run(id),
    )
  }
  app.post<{ Params: { id: string }; Body: { since: string; until?: string } }>(
    '/api/webhooks/endpoints/:id/recover',
    {
      config: write,
      schema: {
        summary: 'Sends it everything that it has missed since then',
        params: pathParams('id'),
        body: {
          type: 'object',
          required: ['since'],
          additionalProperties: false,
          properties: {
            since: { type: 'string', format: 'date-time' },
            until: { type: 'string', format: 'date-time' },
          },
        },
      },
    },
    async ({ params: { id }, body: { since, until } }) => ({
      recovered: await senderOf().recover(id, {
        since: new Date(since),
        ...(until === undefined ? {} : { until: new Date(until) }),
      }),
    }),
  )
}

function registerDeliveries(app: FastifyInstance, senderOf: SenderOf): void {
  app.get<{
    Params: { id: string }
    Querystring: { limit: number; cursor?: string; messageId?: string }
  }>(
    '/api/webhooks/endpoints/:id/attempts',
    {
      config: read,
      schema: {
        summary: 'The delivery log of an endpoint, oldest first',
        params: pathParams('id'),
        querystring: pageQuery({ messageId: text }),
      },
    },
    async ({ params: { id }, query: { limit, cursor, messageId } }) =>
      senderOf().attempts({
        endpointId: id,
        limit,
        ...(cursor === undefined ? {} : { cursor }),
        ...(messageId === undefined ? {} : { messageId }),
      }),
  )
  app.post<{ Params: { id: string; message: string } }>(
    '/api/webhooks/endpoints/:id/messages/:message/redeliver',
    {
      config: write,
      schema: {
        summary: 'Sends a message to an endpoint once more',
        params: pathParams('id', 'message'),
      },
    },
    async ({ params: { id, message } }, reply) => {
      await senderOf().redeliver(message, id)
      return reply.code(202).send({ id: message, endpointId: id })
    },
  )
  app.get<{ Params: { message: string } }>(
    '/api/webhooks/messages/:message',
    {
      config: read,
      schema: {
        summary: 'The whole body of a message, which a thin event stands for',
        params: pathParams('message'),
      },
    },
    async ({ params: { message } }, reply) => {
      const found = await senderOf().message(message)
      if (!found) {
        throw new TreatyError('WEBHOOK_MESSAGE_NOT_FOUND', `the message ${message} is not kept`)
      }
      return reply.type(found.contentType).send(Buffer.from(found.body))
    },
  )
  app.get(
    '/api/webhooks/catalogue',
    { config: read, schema: { summary: 'Event types and schemas, for receivers' } },
    async () => ({ items: senderOf().catalogue() }),
  )
  app.get(
    '/api/webhooks/stats',
    { config: read, schema: { summary: 'What this process has delivered' } },
    async () => senderOf().stats(),
  )
}

async function existing(sender: Sender, id: string) {
  const found = await sender.endpoints.get(id)
  if (found) return found
  throw new TreatyError('WEBHOOK_ENDPOINT_NOT_FOUND', `there is no endpoint ${id}`, {
    details: { id },
  })
}
