import type { FastifyInstance, FastifyReply } from 'fastify'
import { isTreatyError } from '../../core/errors.ts'
import { protocolCode } from '../../registry/index.ts'
import { jsonParser } from '../json-body.ts'
import { asTreatyError, toProblem } from '../problem.ts'
import type { FacadeState } from './facade-state.ts'
import { flagNames } from './forms.ts'
import { registerSchemaRoutes } from './schema-routes.ts'
import { registerSettingRoutes } from './setting-routes.ts'
import { registerSubjectRoutes } from './subject-routes.ts'

/** Media type of the protocol. */
export const facadeContentType = 'application/vnd.schemaregistry.v1+json'
const contentTypes = [
  facadeContentType,
  'application/vnd.schemaregistry+json',
  'application/json',
  'application/octet-stream',
]

/** Everything under one path that an unchanged client of the Confluent Schema Registry calls. */
export function registerFacade(app: FastifyInstance, state: FacadeState, path: string): void {
  void app.register(
    (facade, _options, ready) => {
      facade.removeAllContentTypeParsers()
      facade.addContentTypeParser(contentTypes, { parseAs: 'buffer' }, jsonParser(facade))
      facade.addHook('preValidation', async (request) => {
        readFlags(request.query as Record<string, unknown>)
      })
      facade.addHook('preSerialization', async (_request, reply, payload) => {
        reply.type(facadeContentType)
        return payload
      })
      facade.setErrorHandler((thrown, request, reply) => {
        sendFault(reply, thrown, request.id)
      })
      registerSubjectRoutes(facade, state)
      registerSchemaRoutes(facade, state)
      registerSettingRoutes(facade, state)
      ready()
    },
    { prefix: path === '/' ? '' : path },
  )
}

/** Some clients write `True`; whatever is not true is false, as the protocol has it. */
function readFlags(query: Record<string, unknown>): void {
  for (const name of flagNames) {
    const value = [query[name]].flat().at(-1)
    if (value !== undefined) query[name] = String(value).toLowerCase() === 'true'
  }
}

/** `{ error_code, message }`; the first three digits of the code are the status. */
function sendFault(reply: FastifyReply, thrown: unknown, requestId: string): void {
  const code = protocolCode(thrown)
  if (code !== undefined && isTreatyError(thrown)) {
    answer(reply, code, thrown.message)
    return
  }
  const problem = toProblem(asTreatyError(thrown), requestId)
  const detail = problem.findings?.map(({ message }) => message).join('; ') ?? problem.detail
  if (problem.status === 401) reply.header('www-authenticate', 'Basic realm="treaty"')
  // A body that is not what the protocol wants is unprocessable there; 500 and above are the store's.
  const status = problem.code === 'REQUEST_INVALID' && problem.findings ? 422 : problem.status
  answer(
    reply,
    status >= 500 ? 50001 : status === 401 ? 40101 : status === 403 ? 40301 : status,
    detail,
  )
}

function answer(reply: FastifyReply, errorCode: number, message: string): void {
  const status = Number(String(errorCode).slice(0, 3))
  void reply.code(status).type(facadeContentType).send({ error_code: errorCode, message })
}
