import { describe, expect, it } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { brokerFacts } from './ask-broker.ts'
import { clockSkewProblem, compareClocks } from './broker-facts.ts'

/** A clock on which a question takes 100 ms. */
function slowClock() {
  let now = 1_000_000
  const step = () => {
    now += 50
    return now
  }
  return { ...systemClock, now: step }
}

describe('the clock of a broker', () => {
  it('is compared with the middle of question and answer', async () => {
    expect(await compareClocks(slowClock(), async () => 1_005_075)).toEqual({
      clockAheadMs: 5000,
      clockErrorMs: 25,
    })
  })

  it('is not compared where the broker does not tell its time', async () => {
    expect(await compareClocks(systemClock, async () => undefined)).toEqual({})
    expect(await compareClocks(systemClock, async () => Number.NaN)).toEqual({})
  })

  it('is a problem from two seconds on, beyond what the way takes', () => {
    const problem = (clockAheadMs?: number, clockErrorMs = 0) =>
      clockSkewProblem(
        {
          version: 'x',
          unsafe: [],
          ...(clockAheadMs === undefined ? {} : { clockAheadMs, clockErrorMs }),
        },
        'redis://app:hunter2@host',
      )

    expect(problem(3200)).toBe('the clock of redis://***@host is 3.2 s ahead of that of this host')
    expect(problem(-3200)).toBe('the clock of redis://***@host is 3.2 s behind that of this host')
    expect([problem(1900), problem(-2000), problem(3000, 1500), problem()]).toEqual(
      Array.from({ length: 4 }, () => undefined),
    )
  })

  it('is ours where the broker is embedded', async () => {
    expect(await brokerFacts('sqlite:./x.db')).toBeUndefined()
    expect(await brokerFacts('memory:')).toBeUndefined()
  })

  it.each([
    'kafka://127.0.0.1:1',
    'nats://127.0.0.1:1',
    'amqp://127.0.0.1:1',
    'redis://127.0.0.1:1',
    'postgres://127.0.0.1:1/x',
  ])('is not known while nobody is at %s', async (url) => {
    await expect(brokerFacts(url)).rejects.toMatchObject({
      code: expect.stringMatching(/^(BROKER_UNREACHABLE|STORE_UNAVAILABLE)$/),
    })
  })
})
