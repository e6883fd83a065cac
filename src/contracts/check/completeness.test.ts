import { describe, expect, it } from 'vitest'
import { contractDigest } from '../evolve/digest.ts'
import { readContractText } from '../loader.ts'
import type { Contract } from '../model.ts'
import { contractSteps, qualityGate } from './completeness.ts'

const text = `treaty: 1
id: shop.orders
version: 1.0.0
purpose: Tells every service that an order was placed.
design: https://example.com/orders
owner: { team: orders }
channels: { orders: { address: shop.orders } }
events: { order.placed: { channel: orders, purpose: Sent when paid., schema: { type: object, properties: { id: {} } }, examples: [{ id: 1 }] } }
producers: { order-service: {} }
consumers:
  billing:
    accepts: ^1
    events: { order.placed: { needs: [id], handling: Creates one invoice. } }
    idempotency: { key: id, window: 30d }
    deadLetter: { owner: billing }
  later: { accepts: ^1, events: { order.placed: {} }, pending: true }
sla: { delivery: at-least-once }
`
const read = (source: string) => readContractText(source).contract as Contract
const open = (list: readonly { name: string; isMet: boolean }[]) =>
  list.filter(({ isMet }) => !isMet).map(({ name }) => name)

describe('the steps of seed 000', () => {
  it('are all done in a complete contract; a pending consumer holds nothing up', () => {
    expect(open(contractSteps(read(text)))).toEqual([])
  })

  it.each([
    ['design: https://example.com/orders\n', 'Understand integration', 'the design document'],
    [', examples: [{ id: 1 }]', 'Define events and messages', 'an example of order.placed'],
    ['owner: { team: orders }\n', 'Document contracts', 'an owner'],
    ['needs: [id], ', 'Identify consumers', 'what billing needs of order.placed'],
    [', handling: Creates one invoice.', 'Identify consumers', 'how billing handles order.placed'],
  ])('without %j one is open', (part, step, missing) => {
    const steps = contractSteps(read(text.replace(part, '')))
    expect(open(steps)).toEqual([step])
    expect(steps.find(({ name }) => name === step)?.missing).toEqual([missing])
  })

  it('versioning is open where no history counts', () => {
    expect(open(contractSteps(read(`${text}evolution: { mode: none }\n`)))).toEqual([
      'Plan versioning',
    ])
  })
})

describe('the quality gate of seed 000', () => {
  const reviewed = (digest: string) =>
    `${text}reviews: [{ consumer: billing, by: ada, at: 2026-11-20, digest: '${digest}' }]\n`

  it('opens when every deployed consumer has reviewed this very content', () => {
    expect(open(qualityGate(read(text)))).toEqual(['Reviewed by all consumers'])
    expect(open(qualityGate(read(reviewed(contractDigest(read(text))))))).toEqual([])
  })

  it('a later edit voids the review', () => {
    const source = reviewed(contractDigest(read(text)))
    expect(
      open(qualityGate(read(source.replace('Sent when paid.', 'Sent when shipped.')))),
    ).toEqual(['Reviewed by all consumers'])
  })

  it('wants to know who looks after dead letters, and how a repetition is recognised', () => {
    const source = text
      .replace('    deadLetter: { owner: billing }\n', '')
      .replace(/ {4}idempotency.*\n/, '')
    expect(qualityGate(read(source)).at(-1)).toEqual({
      name: 'Error handling documented',
      isMet: false,
      missing: [
        'who looks after the dead letters of billing',
        'how billing recognises a repetition',
      ],
    })
  })
})

describe('the digest', () => {
  it('does not depend on order, comments, formatting or defaults that are written out', () => {
    const other = `# a comment\n${text.replace('treaty: 1\n', '')}treaty: 1\nstatus: draft\npattern: pub-sub\n`
    expect(contractDigest(read(other))).toBe(contractDigest(read(text)))
    expect(contractDigest(read(text))).toMatch(/^sha256:[0-9a-f]{64}$/)
  })

  it('depends on everything the contract says', () => {
    const changes = [
      ['1.0.0', '1.0.1'],
      ['paid', 'Paid'],
      ['id: {}', 'id: { type: string }'],
      ['id: 1 }', 'id: 2 }'],
      ['window: 30d', 'window: 31d'],
    ] as const
    const digests = changes.map(([from, to]) => contractDigest(read(text.replace(from, to))))
    expect(new Set([...digests, contractDigest(read(text))]).size).toBe(changes.length + 1)
  })
})
