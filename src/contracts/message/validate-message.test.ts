import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasErrors } from '../../core/finding.ts'
import { domainsOf } from '../check/domains.ts'
import type { Contract } from '../model.ts'
import { loadPack } from '../pack.ts'
import { createMessageBuilder } from './builder.ts'
import { createMessageValidator } from './message-validator.ts'
import { validateMessage } from './validate-message.ts'

const initialized = {
  id: '550e8400-e29b-41d4-a716-446655440000',
  type: 'agent.initialized',
  source: 'agent-orchestrator',
  timestamp: '2025-03-29T05:43:25.123456Z',
  correlation_id: '5d976e66-8c32-483f-a9d1-8feaade0e1e0',
  data: { agent_id: 'a1', state: 'ready', capabilities: ['text_generation'] },
}
const pack = 'agent-platform'
const codes = (message: unknown, options: object = {}) =>
  validateMessage(message, { pack, ...options }).findings.map(
    ({ code, pointer }) => `${code} ${pointer}`,
  )

describe('validateMessage', () => {
  it('accepts a message that is right, and says nothing', () => {
    expect(validateMessage(initialized, { pack })).toEqual({ ok: true, findings: [] })
  })
  it('tells apart what is no message, has no type, a type of no form, an unknown domain and an unknown event', () => {
    for (const value of [null, 7, 'x', [], true, undefined])
      expect(codes(value)).toEqual(['MESSAGE_NOT_OBJECT '])
    expect(codes({})[0]).toBe('MESSAGE_TYPE_MISSING ')
    expect(codes({ ...initialized, type: 7 })[0]).toBe('MESSAGE_TYPE_MISSING /type')
    expect(codes({ ...initialized, type: 'Agent' })).toEqual(['MESSAGE_TYPE_INVALID /type'])
    expect(codes({ ...initialized, type: 'stock.moved' })).toEqual(['UNKNOWN_DOMAIN /type'])
    const unknown = validateMessage({ ...initialized, type: 'agent.initialised' }, { pack })
    expect(unknown.findings).toMatchObject([
      { code: 'UNKNOWN_EVENT', hint: expect.stringContaining('agent.initialized') },
    ])
  })
  it('reports every mistake of envelope and data at once', () => {
    const wrong = {
      ...initialized,
      id: 'x',
      timestamp: '2025-02-30T05:43:25Z',
      correlation_id: null,
      metadata: null,
      data: { state: 'odd', capabilities: [7] },
    }
    expect(codes(wrong).sort()).toEqual([
      'SCHEMA_MISMATCH /correlation_id',
      'SCHEMA_MISMATCH /data',
      'SCHEMA_MISMATCH /data/capabilities/0',
      'SCHEMA_MISMATCH /data/state',
      'SCHEMA_MISMATCH /id',
      'SCHEMA_MISMATCH /metadata',
      'SCHEMA_MISMATCH /timestamp',
    ])
  })
  it('refuses the nil UUID as id, and accepts every version of UUID', () => {
    expect(codes({ ...initialized, id: '00000000-0000-0000-0000-000000000000' })).toEqual([
      'SCHEMA_MISMATCH /id',
    ])
    expect(codes({ ...initialized, id: '0195E1A0-51c3-7b52-8f0e-3a1f6a7c9d10' })).toEqual([])
  })
  it.each([
    ['10 000 arrays', '['.repeat(10_000) + ']'.repeat(10_000)],
    ['130 objects', `${'{"a":'.repeat(130)}1${'}'.repeat(130)}`],
  ])('refuses data of %s deep', (_name, text) => {
    expect(codes({ ...initialized, data: JSON.parse(text) })).toEqual(['MESSAGE_TOO_DEEP '])
  })
  it('accepts unknown fields of a newer producer, which the producer itself may not send', () => {
    const newer = { ...initialized, data: { ...initialized.data, mood: 'good' } }
    expect(codes(newer)).toEqual([])
    expect(codes(newer, { view: 'producer' })).toEqual(['SCHEMA_MISMATCH /data/mood'])
    expect(codes({ ...initialized, extra: 1 }, { view: 'producer' })).toEqual([
      'SCHEMA_MISMATCH /extra',
    ])
  })
  it('a field called __proto__ or constructor is an unknown field and nothing more', () => {
    const hostile = JSON.parse(
      JSON.stringify({ ...initialized }).replace(
        '"state"',
        '"__proto__":{"state":"ready"},"constructor":1,"state"',
      ),
    )
    expect(codes(hostile)).toEqual([])
    expect(codes(hostile, { view: 'producer' }).sort()).toEqual([
      'SCHEMA_MISMATCH /data/__proto__',
      'SCHEMA_MISMATCH /data/constructor',
    ])
  })
  it('flags a source that the contract does not permit, and refuses it under strict-ids', () => {
    const uuid = { ...initialized, data: { ...initialized.data, agent_id: initialized.id } }
    const foreign = { ...uuid, source: 'somebody' }
    expect(validateMessage(foreign, { pack })).toMatchObject({
      ok: true,
      findings: [{ code: 'SOURCE_NOT_PERMITTED', severity: 'warning' }],
    })
    expect(validateMessage(foreign, { pack, profile: 'strict-ids' })).toMatchObject({
      ok: false,
      findings: [{ code: 'SOURCE_NOT_PERMITTED', severity: 'error' }],
    })
    expect(validateMessage(uuid, { pack, profile: 'strict-ids' })).toEqual({
      ok: true,
      findings: [],
    })
  })
  it('reads priorities by name, alias and number, and wants a whole number of seconds to live', () => {
    const withMetadata = (metadata: object) => codes({ ...initialized, metadata })
    for (const priority of ['low', 'medium', 'normal', 'high', 'critical', 0, 5])
      expect(withMetadata({ priority })).toEqual([])
    expect(withMetadata({ priority: 'urgent', ttl_seconds: 0, schema_version: 'new' })).toEqual([
      'SCHEMA_MISMATCH /metadata/schema_version',
      'SCHEMA_MISMATCH /metadata/priority',
      'SCHEMA_MISMATCH /metadata/ttl_seconds',
    ])
    expect(withMetadata({ ttl_seconds: 1.5 })).toEqual(['SCHEMA_MISMATCH /metadata/ttl_seconds'])
  })
  it('an unknown pack is an error with a hint', () => {
    expect(() => validateMessage({}, { pack: 'agent-platfrom' as 'agent-platform' })).toThrow(
      expect.objectContaining({
        code: 'PACK_NOT_FOUND',
        hint: expect.stringContaining('agent-platform'),
      }),
    )
  })
})

describe('batches', () => {
  const inner = (last: number, data: object = initialized.data) => ({
    ...initialized,
    id: `550e8400-e29b-41d4-a716-44665544010${last}`,
    data,
  })
  const batch = (messages: unknown[], size = messages.length) => ({
    ...initialized,
    type: 'batch',
    data: { batch_size: size, messages },
  })

  it('judges each message on its own', () => {
    const verdict = validateMessage(batch([inner(1), inner(2, { agent_id: '' }), inner(3)]), {
      pack,
    })
    expect(verdict.items?.map(({ id, ok }) => [id?.slice(-1), ok])).toEqual([
      ['1', true],
      ['2', false],
      ['3', true],
    ])
    expect(verdict.ok).toBe(false)
    expect(verdict.findings.map(({ pointer }) => pointer)).toContain(
      '/data/messages/1/data/agent_id',
    )
  })
  it('wants the size to be the count, ids that differ, and no batch within', () => {
    expect(codes(batch([inner(1)], 2))).toEqual(['BATCH_SIZE_MISMATCH /data/batch_size'])
    expect(codes(batch([inner(1), inner(1)]))).toEqual(['BATCH_DUPLICATE_ID /data/messages/1/id'])
    expect(codes(batch([initialized]))).toEqual(['BATCH_DUPLICATE_ID /data/messages/0/id'])
    expect(codes(batch([{ ...batch([inner(2)]), id: inner(1).id }]))).toEqual([
      'BATCH_NESTED /data/messages/0',
    ])
    expect(codes(batch([7]))).toEqual(['MESSAGE_NOT_OBJECT /data/messages/0'])
  })
  it('refuses an empty batch and one of 1001 messages', () => {
    expect(codes(batch([]))).toEqual(['SCHEMA_MISMATCH /data/batch_size'])
    expect(codes(batch(Array.from({ length: 1001 }, () => inner(1))))).toEqual([
      'BATCH_TOO_LARGE /data/messages',
    ])
  })
})

const [platform] = loadPack(pack) as [Contract]

describe('createMessageValidator', () => {
  const validator = createMessageValidator({ contracts: [platform], view: 'reader' })
  it('gives the same compiled validator each time, and none for an unknown event', () => {
    expect(validator.forEvent('agent.created')).toBe(validator.forEvent('agent.created'))
    expect(validator.forEvent('agent.nope')).toBeUndefined()
    expect(validator.forCommand('agent.created')).toBeUndefined()
  })
  it('judges data alone with pointers into the data', () => {
    expect(
      validator
        .forEvent('agent.initialized')
        ?.data.findings({ state: 'odd' })
        .map(({ pointer }) => pointer),
    ).toEqual(['', '', '/state'])
  })
  it('never throws, and finds an error exactly where check says no', () => {
    const judge = validator.forEvent('agent.initialized')
    const field = fc.constantFrom(
      'id',
      'type',
      'source',
      'timestamp',
      'correlation_id',
      'data',
      'metadata',
      'extra',
    )
    const nearly = fc
      .dictionary(field, fc.anything())
      .map((changes) => ({ ...initialized, ...changes }))
    fc.assert(
      fc.property(fc.oneof(nearly, fc.anything()), (message) => {
        expect(hasErrors(judge?.findings(message) ?? [])).toBe(!judge?.check(message))
      }),
    )
  })
  it('under the policy strict uses the schema as written for both sides', () => {
    const strict: Contract = { ...platform, evolution: { ...platform.evolution, policy: 'strict' } }
    const written = createMessageValidator({ contracts: [strict], view: 'producer' }).forEvent(
      'agent.initialized',
    )
    expect(written?.check({ ...initialized, data: { ...initialized.data, mood: 'good' } })).toBe(
      true,
    )
  })
  it('judges requests, replies and typed errors of a command', () => {
    const text = (field: string) => ({
      type: 'object',
      required: [field],
      properties: { [field]: { type: 'string' } },
    })
    const contract: Contract = {
      ...platform,
      commands: {
        'payment.capture': {
          name: 'payment.capture',
          channel: 'agents',
          purpose: '',
          schema: text('orderId'),
          reply: text('receipt'),
          errors: { declined: text('reason') },
          timeoutMs: 1000,
          handler: 'payments',
          examples: [],
        },
      },
    }
    const command = createMessageValidator({ contracts: [contract], view: 'reader' }).forCommand(
      'payment.capture',
    )
    const message = (type: string, data: object) => ({ ...initialized, type, data })
    expect(command?.request.check(message('payment.capture', { orderId: 'a' }))).toBe(true)
    expect(command?.request.check(message('payment.other', { orderId: 'a' }))).toBe(false)
    expect(command?.reply?.check(message('payment.capture.reply', { receipt: 'r' }))).toBe(true)
    expect(command?.reply?.check(message('payment.capture.reply', {}))).toBe(false)
    expect(command?.errors.declined?.data.check({ reason: 'no' })).toBe(true)
  })
})

describe('domainsOf', () => {
  it('lists domains with their events and who may send them', () => {
    const domains = domainsOf([platform])
    expect(domains.map(({ name, events }) => [name, events.length])).toEqual([
      ['agent', 5],
      ['project', 5],
      ['task', 5],
      ['model', 2],
      ['tool', 2],
      ['workflow', 3],
      ['system', 3],
    ])
    expect(domains[0]?.producers).toEqual(['agent-orchestrator'])
    expect(domains[6]?.producers).toHaveLength(6)
  })
})

describe('createMessageBuilder', () => {
  const clock = { now: () => 1_743_227_005_123 }
  const builder = createMessageBuilder({
    contracts: [platform],
    source: 'agent-orchestrator',
    clock,
  })
  it('gives fresh ids, rising timestamps with six digits, and the version of the contract', () => {
    const [first, second] = [
      builder.build('agent.initialized', initialized.data),
      builder.build('agent.initialized', initialized.data),
    ]
    expect([first?.timestamp, second?.timestamp]).toEqual([
      '2025-03-29T05:43:25.123000Z',
      '2025-03-29T05:43:25.123001Z',
    ])
    expect(first?.id).not.toBe(second?.id)
    expect(first?.metadata).toEqual({ schema_version: '1.0.0' })
    expect(validateMessage(first, { pack, view: 'producer' })).toEqual({ ok: true, findings: [] })
  })
  it('carries correlation, cause, priority and time to live', () => {
    const built = builder.build('agent.initialized', initialized.data, {
      correlationId: initialized.correlation_id,
      causationId: initialized.id,
      priority: 'high',
      ttlSeconds: 300,
    })
    expect(built).toMatchObject({
      correlation_id: initialized.correlation_id,
      metadata: { causation_id: initialized.id, priority: 'high', ttl_seconds: 300 },
    })
  })
  it('never gives an invalid message', () => {
    expect(() => builder.build('agent.initialized', { ...initialized.data, typo: 1 })).toThrow(
      expect.objectContaining({
        code: 'SCHEMA_MISMATCH',
        findings: [expect.objectContaining({ pointer: '/data/typo' })],
      }),
    )
    expect(() => builder.build('agent.initialised', {})).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_EVENT',
        hint: expect.stringContaining('agent.initialized'),
      }),
    )
  })
})
