import type { FastifyInstance } from 'fastify'
import type { JsonObject } from '../core/json.ts'
import { canIDeploy, type DeployQuestion, deployRequest } from '../registry/index.ts'
import {
  contractBytesMax,
  contractVersionsForm,
  nameForm,
  registryAnswers,
  registryBodies,
} from './registry-forms.ts'
import { registryOf, type ServerState } from './state.ts'

/** Asked by POST, because the question has a body; changes nothing, so that programs need no key for it. */
const ask = { access: 'read', programs: true } as const

/** Questions to the registry: whom would this change hurt, and may this version go there? */
export function registerQuestions(app: FastifyInstance, state: ServerState): void {
  app.post<{ Body: JsonObject }>(
    '/api/impact',
    {
      config: ask,
      bodyLimit: contractBytesMax,
      schema: {
        summary:
          'What a proposed version of a contract breaks, whom it hurts, and which version it may carry',
        body: registryBodies.contract,
        response: { 200: registryAnswers.impact },
      },
    },
    async ({ body }) => registryOf(state).impact(body),
  )
  app.post<{ Body: DeployQuestion }>(
    '/api/can-i-deploy',
    {
      config: ask,
      schema: {
        summary: 'May this version of a service go into the environment, beside what runs there',
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['service', 'version', 'environment'],
          properties: {
            service: nameForm,
            version: nameForm,
            environment: nameForm,
            contracts: contractVersionsForm,
            newEnvironment: { type: 'boolean' },
          },
        },
        response: { 200: registryAnswers.deployAnswer },
      },
    },
    async ({ body }) => canIDeploy(await deployRequest(registryOf(state), body)),
  )
}
