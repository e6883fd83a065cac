import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Contract, Profile } from '../contracts/index.ts'
import {
  compileSchema,
  loadPack,
  packFolder,
  producerView,
  profiles,
  validateMessage,
} from '../contracts/index.ts'

const folder = packFolder('agent-platform')
const read = (...path: string[]) => JSON.parse(readFileSync(join(folder, ...path), 'utf8'))
const [platform, failures] = loadPack('agent-platform') as [Contract, Contract]
const events = Object.values(platform.events)

interface Negative {
  readonly what: string
  readonly keyword: string
  readonly pointer: string
  readonly data: unknown
}
const seedMessages = read('fixtures', 'seed-messages.json') as { type: string }[]
const seedVerdicts = read('fixtures', 'seed-verdicts.json') as Record<
  string,
  Record<Profile, boolean>
>

describe('the 25 messages of the source', () => {
  it('are one for each event, in the order of the contract', () => {
    expect(seedMessages.map(({ type }) => type)).toEqual(events.map(({ name }) => name))
    expect(events).toHaveLength(25)
  })
  it.each(
    seedMessages.flatMap((message) =>
      profiles.map((profile) => [message.type, profile, message] as const),
    ),
  )('%s under %s has the verdict of its fixture', (type, profile, message) => {
    const reader = validateMessage(message, { pack: 'agent-platform', profile })
    expect(reader.ok, JSON.stringify(reader.findings)).toBe(seedVerdicts[type]?.[profile])
    expect(validateMessage(message, { pack: 'agent-platform', profile, view: 'producer' }).ok).toBe(
      reader.ok,
    )
  })
  it.each([
    ['default', 23],
    ['seed-compat', 25],
    ['strict-ids', 9],
  ] as const)('%s accepts %i of them', (profile, expected) => {
    const accepted = seedMessages.filter(
      (message) => validateMessage(message, { pack: 'agent-platform', profile }).ok,
    )
    expect(accepted).toHaveLength(expected)
  })
  it('seed-compat says which two it let pass', () => {
    const noticed = seedMessages.filter((message) => {
      const { findings } = validateMessage(message, {
        pack: 'agent-platform',
        profile: 'seed-compat',
      })
      return findings.some(
        ({ code, severity }) => code === 'CORRELATION_ID_COMPAT' && severity === 'warning',
      )
    })
    expect(noticed.map(({ type }) => type)).toEqual([
      'system.service_started',
      'system.service_health',
    ])
  })
})

describe.each(events.map((event) => [event.name, event] as const))('%s', (name, event) => {
  const negatives = read('fixtures', 'negative', `${name}.json`) as Negative[]
  const compiled = compileSchema(producerView(event.schema), { unevaluated: true })

  it('has an example that the producer may send', () => {
    expect(event.examples.length).toBeGreaterThan(0)
    for (const { value } of event.examples) expect(compiled.findings(value)).toEqual([])
  })
  it('has at least three fixtures that fail by different keywords at different places', () => {
    expect(new Set(negatives.map(({ keyword }) => keyword)).size).toBeGreaterThanOrEqual(3)
    expect(new Set(negatives.map(({ pointer }) => pointer)).size).toBeGreaterThanOrEqual(3)
  })
  it.each(negatives.map((negative) => [negative.what, negative] as const))(
    'refuses %s',
    (_what, { keyword, pointer, data }) => {
      const errors = compileSchema(event.schema).errors(data)
      expect(errors.map((error) => `${error.keyword} ${error.pointer}`)).toContain(
        `${keyword} ${pointer}`,
      )
    },
  )
  it('says what each field is', () => {
    const { properties } = event.schema as { properties: Record<string, { description?: string }> }
    for (const [field, schema] of Object.entries(properties))
      expect(schema.description, field).toMatch(/\.$/)
  })
})

describe('the files of the pack', () => {
  it('have a schema, an example and negative fixtures for each event, and no others', () => {
    const expected = events.map(({ name }) => `${name}.json`).sort()
    for (const part of ['schemas', 'examples', 'fixtures/negative'])
      expect(readdirSync(join(folder, part)).sort()).toEqual(expected)
  })
  it('let each event be sent by the service of its domain, and by all where it is about the system', () => {
    const services = {
      agent: 'agent-orchestrator',
      project: 'project-coordinator',
      task: 'planning-system',
      model: 'model-orchestration',
      tool: 'tool-integration',
      workflow: 'service-integration',
    }
    for (const { name } of events) {
      const domain = name.split('.')[0] as keyof typeof services | 'system'
      const senders = Object.values(platform.producers)
        .filter((producer) => producer.events?.includes(name))
        .map((producer) => producer.name)
      expect(senders.sort()).toEqual(
        domain === 'system' ? Object.values(services).sort() : [services[domain]],
      )
    }
  })
  it('leave no event without a consumer', () => {
    const heard = new Set(
      Object.values(platform.consumers).flatMap((consumer) => Object.keys(consumer.events)),
    )
    expect(events.filter(({ name }) => !heard.has(name))).toEqual([])
  })
  it('add failure events that change nothing in the 25', () => {
    expect(Object.keys(failures.events).filter((name) => name in platform.events)).toEqual([])
    expect(Object.keys(failures.events)).toHaveLength(10)
  })
})

describe('the list of updated fields', () => {
  const message = { ...seedMessages.find(({ type }) => type === 'project.updated') } as Record<
    string,
    unknown
  >
  const verdict = (data: object, view: 'reader' | 'producer') =>
    validateMessage(
      { ...message, data: { project_id: 'p1', ...data } },
      { pack: 'agent-platform', view },
    ).findings.map(({ code, pointer }) => `${code} ${pointer}`)
  it('lets a field be cleared with null, and fields that the schema does not name', () => {
    expect(
      verdict(
        { updated_fields: ['description', 'budget'], description: null, budget: 7 },
        'producer',
      ),
    ).toEqual([])
  })
  it('lets the reader see fields that are not listed, and the producer send none', () => {
    const data = { updated_fields: ['description'], description: 'x', name: 'y' }
    expect(verdict(data, 'reader')).toEqual([])
    expect(verdict(data, 'producer')).toEqual(['RULE_VIOLATED /data/name'])
  })
})
