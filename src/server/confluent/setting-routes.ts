import type { FastifyInstance } from 'fastify'
import type { JsonObject } from '../../core/json.ts'
import { callerOf } from '../caller.ts'
import type { FacadeState } from './facade-state.ts'
import { type ChangeQuery, changeQuery, configView, forms, params, subjectOf } from './forms.ts'

const read = { access: 'read', protocol: 'confluent' } as const
const write = { access: 'write', programs: true, protocol: 'confluent' } as const

type Route = { Querystring: ChangeQuery; Params: { subject: string }; Body: JsonObject }

const configBody: JsonObject = {
  type: 'object',
  properties: {
    compatibility: { type: ['string', 'null'] },
    compatibilityLevel: { type: ['string', 'null'] },
    compatibilityPolicy: { type: ['string', 'null'] },
    normalize: { type: ['boolean', 'null'] },
  },
}
const modeBody: JsonObject = {
  type: 'object',
  required: ['mode'],
  properties: { mode: { type: 'string' } },
}

/** Levels and modes, of everything or of one subject. */
export function registerSettingRoutes(app: FastifyInstance, state: FacadeState): void {
  for (const scope of ['', '/:subject']) {
    registerConfig(app, state, scope)
    registerMode(app, state, scope)
  }
}

/** Both paths of a setting are the same but for the subject. */
function common(scope: string, summary: string): { summary: string } & JsonObject {
  return {
    summary: `Confluent: ${summary}${scope === '' ? '' : ' of a subject'}`,
    querystring: changeQuery,
    ...(scope === '' ? {} : { params: params('subject') }),
  }
}

function registerConfig(app: FastifyInstance, state: FacadeState, scope: string): void {
  const response = { 200: forms.config }
  app.get<Route>(
    `/config${scope}`,
    { config: read, schema: { ...common(scope, 'compatibility level'), response } },
    async (request) => {
      const { defaultToGlobal } = request.query
      const config = await state.subjects().config(subjectOf(request), defaultToGlobal)
      return configView(config, 'compatibilityLevel')
    },
  )
  app.put<Route>(
    `/config${scope}`,
    {
      config: write,
      schema: { ...common(scope, 'set the compatibility level'), body: configBody, response },
    },
    async (request) => {
      const by = callerOf(request)
      const config = await state.subjects().setConfig(subjectOf(request), request.body, by)
      return configView(config, 'compatibility')
    },
  )
  app.delete<Route>(
    `/config${scope}`,
    { config: write, schema: { ...common(scope, 'remove the compatibility level'), response } },
    async (request) => {
      const config = await state.subjects().removeConfig(subjectOf(request), callerOf(request))
      return configView(config, 'compatibilityLevel')
    },
  )
}

function registerMode(app: FastifyInstance, state: FacadeState, scope: string): void {
  const response = { 200: forms.mode }
  app.get<Route>(
    `/mode${scope}`,
    { config: read, schema: { ...common(scope, 'mode'), response } },
    async (request) => {
      const { defaultToGlobal } = request.query
      return { mode: await state.subjects().mode(subjectOf(request), defaultToGlobal) }
    },
  )
  app.put<Route>(
    `/mode${scope}`,
    { config: write, schema: { ...common(scope, 'set the mode'), body: modeBody, response } },
    async (request) => {
      const { force } = request.query
      const by = callerOf(request)
      const wanted = String(request.body.mode)
      return { mode: await state.subjects().setMode(subjectOf(request), wanted, { force, by }) }
    },
  )
  app.delete<Route>(
    `/mode${scope}`,
    { config: write, schema: { ...common(scope, 'remove the mode'), response } },
    async (request) => {
      return { mode: await state.subjects().removeMode(subjectOf(request), callerOf(request)) }
    },
  )
}
