import { describe, expect, it } from 'vitest'
import { createMessageBuilder } from '../message/builder.ts'
import type { Contract, EnvelopeKind } from '../model.ts'
import { loadPack } from '../pack.ts'
import { compileSchema } from '../schema/validator.ts'
import { encodeEnvelope } from './envelope.ts'
import { envelopeSchema } from './wire-schema.ts'

const [platform] = loadPack('agent-platform') as [Contract]
const kinds: EnvelopeKind[] = [
  'treaty',
  'integration',
  'cloudevents-structured',
  'cloudevents-binary',
  'none',
]

describe('envelopeSchema', () => {
  it.each(kinds)(
    '%s: every event as we encode it satisfies its schema, and no other event does',
    (kind) => {
      const builder = createMessageBuilder({ contracts: [platform], source: 'agent-orchestrator' })
      for (const { name, examples } of Object.values(platform.events)) {
        const message = builder.build(name, examples[0]?.value, { priority: 'high' })
        const body: unknown = JSON.parse(Buffer.from(encodeEnvelope(message, kind).body).toString())
        expect(compileSchema(envelopeSchema(platform, name, kind)).findings(body)).toEqual([])
        const other = name === 'agent.created' ? 'system.error' : 'agent.created'
        expect(compileSchema(envelopeSchema(platform, other, kind)).check(body)).toBe(false)
      }
    },
  )
  it('integration is the form of seed 000, in draft-07', () => {
    expect(envelopeSchema(platform, 'agent.created', 'integration')).toMatchObject({
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      required: ['eventId', 'eventType', 'timestamp', 'version', 'payload'],
      properties: {
        eventId: { format: 'uuid' },
        eventType: { const: 'agent.created' },
        timestamp: { format: 'date-time' },
        payload: { type: 'object' },
      },
    })
  })
  it('an event that the contract does not have is an error', () => {
    expect(() => envelopeSchema(platform, 'agent.craeted')).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_EVENT' }),
    )
  })
})
