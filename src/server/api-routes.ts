import type { FastifyInstance } from 'fastify'
import { TreatyError } from '../core/errors.ts'
import type { Bus, BusStats, EventCounts } from '../messaging/index.ts'
import { receivedBytes } from '../webhooks/index.ts'
import { contractBody, contractHash, contractSummary, versionSummary } from './contract-view.ts'
import { deadDetail, deadSummary } from './dead-view.ts'
import { answers, pageQuery, pathParams } from './route-schemas.ts'
import { busOf, type ServerState } from './state.ts'

interface PageQuery {
  limit: number
  cursor?: string
}

const read = { access: 'read' } as const
const write = { access: 'write' } as const

/** The API under `/api`: what happened, what died, what was agreed. */
export function registerApi(app: FastifyInstance, state: ServerState): void {
  registerStats(app, state)
  registerDead(app, state)
  registerMessages(app, state)
  registerContracts(app, state)
}

/** Copies the counters and nothing else: the counts of a transport may carry the names of their row. */
function countsOf(row: EventCounts): EventCounts {
  const { published, deliveries, handled, skipped, retried, dead, expired, waiting } = row
  return { published, deliveries, handled, skipped, retried, dead, expired, waiting }
}

/** The ledger as doors.md has it. */
export function statsView(stats: BusStats) {
  return {
    ...countsOf(stats),
    byEvent: Object.fromEntries(
      Object.entries(stats.byEvent).map(([event, row]) => [event, countsOf(row)]),
    ),
  }
}

function registerStats(app: FastifyInstance, state: ServerState): void {
  app.get(
    '/api/stats',
    {
      config: read,
      schema: {
        summary: 'The ledger: counts of all messages, and by event',
        response: { 200: answers.stats },
      },
    },
    async () => statsView(await busOf(state).stats()),
  )
}

function registerDead(app: FastifyInstance, state: ServerState): void {
  const text = { type: 'string', minLength: 1, maxLength: 200 }
  app.get<{ Querystring: PageQuery & { consumer?: string; event?: string; reason?: string } }>(
    '/api/dead',
    {
      config: read,
      schema: {
        summary: 'Dead letters, in the order in which they died',
        querystring: pageQuery({ consumer: text, event: text, reason: text }),
        response: { 200: answers.deadPage },
      },
    },
    async ({ query }) => {
      const page = await busOf(state).dead.list(query)
      return { ...page, items: page.items.map(deadSummary) }
    },
  )
  app.get<{ Params: { id: string } }>(
    '/api/dead/:id',
    {
      config: read,
      schema: {
        summary: 'One dead letter, with the bytes that died',
        params: pathParams('id'),
        response: { 200: answers.dead },
      },
    },
    async ({ params }) => {
      const letter = await busOf(state).dead.get(params.id)
      if (!letter) throw noDeadLetter(params.id)
      return deadDetail(letter, state.store && (await receivedBytes(state.store, letter.headers)))
    },
  )
  const act = (
    verb: 'replay' | 'discard',
    done: 'replayed' | 'discarded',
    run: (bus: Bus, id: string) => Promise<boolean>,
  ) =>
    app.post<{ Params: { id: string } }>(
      `/api/dead/:id/${verb}`,
      {
        config: write,
        schema: {
          summary:
            verb === 'replay' ? 'Hands the message to its consumer again' : 'Deletes a dead letter',
          params: pathParams('id'),
          response: { 200: answers.done },
        },
      },
      async ({ params }) => {
        if (!(await run(busOf(state), params.id))) throw noDeadLetter(params.id)
        return { id: params.id, done }
      },
    )
  act('replay', 'replayed', async (bus, id) => {
    const letter = state.replays.length === 0 ? undefined : await bus.dead.get(id)
    for (const replay of letter ? state.replays : []) {
      if (letter && (await replay(letter))) return true
    }
    return bus.dead.replay(id)
  })
  act('discard', 'discarded', (bus, id) => bus.dead.discard(id))
}

function noDeadLetter(id: string): TreatyError {
  return new TreatyError('DEAD_LETTER_NOT_FOUND', `no dead letter has the id \`${id}\``, {
    details: { id },
  })
}

function registerMessages(app: FastifyInstance, state: ServerState): void {
  const text = { type: 'string', minLength: 1, maxLength: 200 }
  app.get<{ Querystring: PageQuery & { correlationId?: string; event?: string } }>(
    '/api/messages',
    {
      config: read,
      schema: {
        summary: 'Messages that are still kept, the oldest first',
        querystring: pageQuery({ correlationId: text, event: text }),
        response: { 200: answers.messagePage },
      },
    },
    async ({ query }) => {
      const page = await busOf(state).messages(query)
      return {
        ...page,
        items: page.items.map(({ record, consumers, message }) => ({
          id: record.id,
          event: record.type,
          position: record.position,
          publishedAt: new Date(record.publishedAt).toISOString(),
          correlationId: record.correlationId ?? message?.correlation_id ?? null,
          causationId: record.causationId ?? null,
          key: record.key ?? null,
          message,
          consumers,
        })),
      }
    },
  )
  app.get<{ Params: { correlationId: string } }>(
    '/api/trace/:correlationId',
    {
      config: read,
      schema: {
        summary: 'All messages of one correlation id, causes before effects',
        params: pathParams('correlationId'),
        response: { 200: answers.trace },
      },
    },
    async ({ params }) => busOf(state).trace(params.correlationId),
  )
}

function registerContracts(app: FastifyInstance, state: ServerState): void {
  app.get(
    '/api/contracts',
    {
      config: read,
      schema: {
        summary:
          'The contracts that are loaded, and the latest version of each other that is registered',
        response: { 200: answers.contracts },
      },
    },
    async () => {
      const ids = new Set(state.contracts.map(({ id }) => id))
      const registered = (await state.registry?.latest()) ?? []
      const others = registered.filter(({ id }) => !ids.has(id))
      return { items: [...state.contracts.map(contractSummary), ...others.map(versionSummary)] }
    },
  )
  app.get<{ Params: { id: string; version: string } }>(
    '/api/contracts/:id/versions/:version',
    {
      config: read,
      schema: {
        summary: 'One contract, whole',
        params: pathParams('id', 'version'),
        response: { 200: answers.contract },
      },
    },
    async ({ params }) => {
      const contract = state.contracts.find(
        ({ id, version }) => id === params.id && version === params.version,
      )
      if (contract) return { ...contractBody(contract), hash: contractHash(contract) }
      const registered = await state.registry?.contract(params.id, params.version)
      if (registered) return { ...contractBody(registered), hash: contractHash(registered) }
      throw new TreatyError(
        'CONTRACT_NOT_FOUND',
        `no contract \`${params.id}\` of version ${params.version} is loaded or registered`,
        {
          hint: 'List what there is with GET /api/contracts.',
          details: { id: params.id, version: params.version },
        },
      )
    },
  )
}
