import { describe, expect, it } from 'vitest'
import { validateContract } from '../../agents/a2a/index.ts'
import { type Contract, contractDigest, defineContract } from '../../contracts/index.ts'
import type { GateReport } from './gate.ts'
import { gateRuleNames, runGate } from './gate.ts'

const now = new Date('2026-11-21T12:00:00Z')

function contract(more: object = {}, note: object = { type: 'string' }): Contract {
  return defineContract({
    id: 'shop.orders',
    version: '1.0.0',
    purpose: 'Tells that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when paid.',
        schema: { type: 'object', required: ['id'], properties: { id: { type: 'string' }, note } },
        examples: [{ id: 'a-1' }],
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts: '^1.0.0',
        since: '1.0.0',
        events: { 'order.placed': { needs: ['id'], handling: 'Creates one invoice.' } },
        idempotency: { key: 'id', window: '30d' },
        deadLetter: { owner: 'billing' },
      },
    },
    gate: { block: [...gateRuleNames] },
    ...more,
  } as never)
}

function reviewed(of: Contract): Contract {
  const review = { consumer: 'billing', by: 'ada', at: '2026-11-20', digest: contractDigest(of) }
  return { ...of, reviews: [review] }
}

const failed = ({ checks }: GateReport) =>
  checks.filter(({ result }) => result === 'fail').map(({ rule }) => rule)
const judge = (of: Contract, earlier?: readonly Contract[]) =>
  runGate({ contract: of, now, ...(earlier === undefined ? {} : { earlier }) })

describe('the quality gate', () => {
  it('passes a first version that has everything', () => {
    const report = judge(reviewed(contract()), [])

    expect(failed(report)).toEqual([])
    expect(report.result).toBe('pass')
  })

  it('fails closed: what was compared with nothing has not passed', () => {
    expect(failed(judge(reviewed(contract())))).toEqual(['consumer-impact', 'breaking-change'])
  })

  it.each([
    ['missing-versioning', { evolution: { mode: 'none' } }],
    ['missing-owner', { owner: undefined }],
  ])('sees %s', (rule, more) => {
    expect(failed(judge(reviewed(contract(more)), []))).toContain(rule)
  })

  it.each([
    [
      'what a consumer needs',
      'consumer-impact',
      { events: { 'order.placed': { handling: 'Bills.' } } },
    ],
    ['who looks after dead letters', 'missing-error-handling', { deadLetter: {} }],
    ['how a repetition is recognised', 'missing-error-handling', { idempotency: undefined }],
  ])('asks %s', (_what, rule, part) => {
    const { billing } = {
      billing: {
        accepts: '^1.0.0',
        since: '1.0.0',
        events: { 'order.placed': { needs: ['id'], handling: 'Bills.' } },
        idempotency: { key: 'id', window: '30d' },
        deadLetter: { owner: 'billing' },
      },
    }
    const of = contract({ consumers: { billing: { ...billing, ...part } } })

    expect(failed(judge(reviewed(of), []))).toEqual([rule])
  })

  it('asks every named consumer for a review, which a later edit voids', () => {
    const first = reviewed(contract())
    const edited = {
      ...contract({ purpose: 'Tells that somebody bought.' }),
      reviews: first.reviews,
    }

    expect(failed(judge(contract(), []))).toEqual(['unreviewed'])
    expect(failed(judge(edited, []))).toEqual(['unreviewed'])
  })

  it('takes an example that is not valid as evidence, without a loader', () => {
    const of = contract()
    const event = { ...of.events['order.placed'], examples: [{ value: { id: 7 } }] }
    const broken = { ...of, events: { 'order.placed': event } } as Contract

    expect(failed(judge(reviewed(broken), []))).toEqual(['invalid-example'])
  })

  it('names a break, with its witness, and the version that is due', () => {
    const after = contract({}, { type: 'integer' })
    const report = judge(reviewed(after), [contract()])

    expect(failed(report)).toEqual(['breaking-change'])
    expect(
      report.checks.find(({ rule }) => rule === 'breaking-change')?.findings[0]?.witness,
    ).toEqual({
      id: 'a-1',
      note: expect.any(Number),
    })
  })

  it('only warns of rules that the contract does not block on', () => {
    const report = judge(contract({ gate: { block: ['breaking-change'] } }), [])

    expect(failed(report)).toEqual(['unreviewed'])
    expect(report.result).toBe('pass')
  })
})

describe('a waiver', () => {
  const waived = (waiver: object, note: object = { type: 'integer' }) => {
    const complete = {
      rule: 'breaking-change',
      reason: 'nobody reads it',
      approvedBy: 'billing',
      expires: '2026-11-21',
      ...waiver,
    }
    const after = contract({ gate: { block: [...gateRuleNames], waivers: [complete] } }, note)
    return judge(reviewed(after), [contract()])
  }

  it('lets its rule pass, up to and with its last day', () => {
    const report = waived({})

    expect(report.result).toBe('pass')
    expect(report.checks.find(({ rule }) => rule === 'breaking-change')?.waived).toHaveLength(2)
  })

  it.each([
    ['has expired', { expires: '2026-11-20' }],
    ['is about another rule', { rule: 'consumer-impact' }],
    ['is about another place', { at: 'order.closed' }],
  ])('does not count when it %s', (_why, waiver) => {
    expect(failed(waived(waiver))).toEqual(['breaking-change'])
  })

  it('counts for the event that it names', () => {
    expect(waived({ at: 'order.placed' }).result).toBe('pass')
  })

  it('says why it no longer counts', () => {
    const check = waived({ expires: '2026-11-20' }).checks.find(
      ({ rule }) => rule === 'breaking-change',
    )

    expect(check?.findings.at(-1)).toMatchObject({
      code: 'WAIVER_LAPSED',
      message: expect.stringContaining('it expired on 2026-11-20'),
    })
  })

  it('for what is not known must name a place', () => {
    const rules = {
      type: 'object',
      required: ['id'],
      properties: { id: { type: 'string' } },
      'x-treaty-rules': [{ differ: ['id', 'x'] }],
    }
    const report = (at: object) => {
      const waiver = {
        rule: 'unknown-verdict',
        reason: 'r',
        approvedBy: 'b',
        expires: '2027-01-01',
        ...at,
      }
      const after = contract({
        gate: { block: [...gateRuleNames], waivers: [waiver] },
        events: {
          'order.placed': { channel: 'orders', purpose: 'Sent when paid.', schema: rules },
        },
      })
      return failed(judge(reviewed(after), [contract()]))
    }

    expect(report({})).toContain('unknown-verdict')
    expect(report({ at: 'order.placed' })).not.toContain('unknown-verdict')
  })
})

describe('gate results', () => {
  it('are GateResult payloads of the pack a2a-v1, one for each check', () => {
    const { results } = judge(contract({}, { type: 'integer' }), [contract()])

    expect(results).toHaveLength(gateRuleNames.length)
    for (const payload of results) {
      expect(validateContract('GateResult', payload)).toEqual({ valid: true, errors: [] })
    }
    expect(results).toContainEqual(
      expect.objectContaining({
        gate_id: 'treaty.gate.breaking-change',
        result: 'fail',
        severity: 'error',
        blocking: true,
        checked_at: '2026-11-21T12:00:00.000Z',
      }),
    )
  })
})
